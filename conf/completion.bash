# Tab completion of keys, presets and named options after `python -m experiments.STUDY`, for bash:
#   source conf/completion.bash
# Hydra's own script (-sc install=bash) knows `python file.py` alone; its answers are asked for here, one a keystroke.
_tlx_complete() {
  local words=($COMP_LINE)
  local word="${COMP_LINE##* }"
  if [[ "${words[1]}" != "-m" || "${words[2]}" != experiments.* || ("${words[2]}" == "$word" && "$COMP_LINE" != *" ") ]]; then
    COMPREPLY=($(compgen -o default -W "$(_tlx_studies)" -- "$word"))
    return
  fi
  local line="${COMP_LINE#*-m }"
  local choices
  choices=$(COMP_LINE="$line" COMP_POINT=${#line} "${words[0]}" -m "${words[2]}" -sc query=bash 2> /dev/null)
  COMPREPLY=($(compgen -o nospace -W "$choices" -- "$word"))
}
_tlx_studies() {
  grep -l "^    main(" experiments/*.py 2> /dev/null | sed 's,/,.,; s,\.py$,,'
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}
complete -o nospace -o default -F _tlx_complete python python3 .venv/bin/python
