"""Random keys by name: a lane's draw depends on what it is, never on grid order, chunk or device."""

import zlib

import jax


def named(key: jax.Array, name: str) -> jax.Array:
    """The stream called `name` under `key`: `fold_in(key, crc32(name))`, the same in every process."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def lane(key: jax.Array, *identity: jax.Array | int) -> jax.Array:
    """The stream of one lane, from integers that identify it (instance, sample count, ...), in that order."""
    for part in identity:
        key = jax.random.fold_in(key, part)
    return key
