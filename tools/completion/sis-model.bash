# shellcheck shell=bash
# Completion of sis-model for bash: source this file, or install it as bash-completion/completions/sis-model.

_sis_model() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' word
  COMPREPLY=()
  # "--key=x" comes as three words.
  [ "$current" = '=' ] && current=
  [ "$previous" = '=' ] && previous=${COMP_WORDS[COMP_CWORD - 2]}
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      *)
        command=$word
        break
        ;;
    esac
  done
  case $previous in
    --key | --signature | -o | --output)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --public-key)
      mapfile -t COMPREPLY < <(compgen -f -P @ -- "${current#@}")
      return
      ;;
    --revision | --min-revision | --wcet-cycles | --id | --name) return ;;
  esac
  case $command in
    '') words='keygen hash sign verify inspect --json --help --version' ;;
    keygen) words='--force --json --help' ;;
    hash | inspect) words='--json --help' ;;
    sign) words='--key --revision --wcet-cycles --id --name -o --output --force --json --help' ;;
    verify) words='--public-key --signature --id --min-revision --json --help' ;;
    *) return ;;
  esac
  if [ -n "$command" ] && [[ $current != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}

complete -F _sis_model sis-model
