# shellcheck shell=bash
# Completion of sisctl for bash: source this file, or install it as bash-completion/completions/sisctl.

# Names of machines, those that have ended too: `snapshot` and the others say so themselves.
_sisctl_machines() {
  "$1" ls --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d '"' -f 4
}

# Sets `command`, the first word that is neither an option nor its value, and `at`, where it is.
_sisctl_find_command() {
  command=
  for ((at = 1; at < COMP_CWORD; ++at)); do
    case ${COMP_WORDS[at]} in
      -m | --machine | --socket | --key | --token | --timeout) [ "${COMP_WORDS[at + 1]}" = '=' ] && ((++at)); ((++at)) ;;
      -*) ;;
      *)
        command=${COMP_WORDS[at]}
        return
        ;;
    esac
  done
}

# Of an action of llm: its arguments, as the guest's help has them.
_sisctl_llm_options() {
  local words=
  case $1 in
    audit) words=--count ;;
    budget) words='--tokens-per-period --cycles-per-period --class' ;;
    cancel | release) words=--id ;;
    graph) words='--model --prompt --max-tokens --priority --temperature --seed --stop --pattern --refused' ;;
    hash) words=--file ;;
    infer | stream)
      words='--model --prompt --max-tokens --priority --deadline-ms --max-cycles --temperature --top-k --top-p --min-p'
      words+=' --repeat-penalty --repeat-window --seed --stop --choices --pattern --session'
      [ "$1" = infer ] && words+=' --stream --wait'
      ;;
    load | unload | verify) words=--model ;;
    poll) words='--id --from --max' ;;
  esac
  echo "$words --json"
}

_sisctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command at words=
  local options='-m --machine --socket --key --token --timeout --json --help'
  COMPREPLY=()
  # "--machine=x" comes as three words.
  [ "$current" = '=' ] && current=
  [ "$previous" = '=' ] && previous=${COMP_WORDS[COMP_CWORD - 2]}
  _sisctl_find_command
  # Behind the commands of the guest and `shell` nothing is for sisctl.
  case $command in
    '' | ping | info | shutdown | top | call | batch | metrics | snapshot | ls)
      case $previous in
        -m | --machine)
          mapfile -t COMPREPLY < <(compgen -W "$(_sisctl_machines "${COMP_WORDS[0]}")" -- "$current")
          return
          ;;
        --socket | --key)
          mapfile -t COMPREPLY < <(compgen -f -- "$current")
          return
          ;;
        --token | --timeout | -n | --count | --payload | --code | --args | --pipeline | --graph | --interval) return ;;
      esac
      ;;
  esac
  case $command in
    '') words="ping info shell shutdown top call batch metrics snapshot ai_bench ask audit bench counters cpus"
      words+=" ctladmin ctlembed ctlhex ctlkey ctlsubmit det graph histograms infdemo irq llm mem mldemo npu npudemo pmu ps sched token trace watch ls"
      words+=" $options --version" ;;
    ping) words="-n --count --payload $options" ;;
    info | top | ls) words=$options ;;
    shutdown) words="--code $options" ;;
    call) words="--args $options" ;;
    batch)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      [[ $current == -* ]] && words="--keep-going --pipeline $options"
      ;;
    metrics) words="--graph --console --watch --interval -n --count $options" ;;
    snapshot)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      [[ $current == -* ]] && words=$options
      ;;
    det) ((COMP_CWORD == at + 1)) && words='on off status reset admit remove --help' ;;
    ctlkey) ((COMP_CWORD == at + 1)) && words='rotate --help' ;;
    ctladmin | ctlsubmit) ((COMP_CWORD == at + 1)) && words='rotate off --help' ;;
    ctlembed) ((COMP_CWORD == at + 1)) && words='admin submit --help' ;;
    npu)
      if ((COMP_CWORD == at + 1)); then
        words='bench counters jobs power reset status --help'
      elif [ "${COMP_WORDS[at + 1]}" = power ]; then
        words='on gated off'
      elif [ "${COMP_WORDS[at + 1]}" = bench ]; then
        words='--size --count --depth --priority --cycle_limit'
      fi
      ;;
    token) ((COMP_CWORD == at + 1)) && words='new list revoke --help' ;;
    trace) ((COMP_CWORD == at + 1)) && words='on off dump clear freeze status names --help' ;;
    watch)
      if ((COMP_CWORD == at + 1)); then
        words='audit channel history log metrics trace --help'
      else
        words='--count --interval_ms'
        [ "${COMP_WORDS[at + 1]}" = log ] && words+=' --last --level'
        [ "${COMP_WORDS[at + 1]}" = audit ] && words='--count --from --whole'
        [ "${COMP_WORDS[at + 1]}" = trace ] && words+=' --from_start --raw'
        [ "${COMP_WORDS[at + 1]}" = history ] && words+=' --from_start'
      fi
      ;;
    llm)
      if ((COMP_CWORD == at + 1)); then
        words='audit budget cancel graph hash infer json list load load-pkg poll release stats status stream summary unload verify --help'
      elif [ "${COMP_WORDS[at + 1]}" = load-pkg ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        [[ $current == -* ]] && words='--manifest --id --json'
      else
        words=$(_sisctl_llm_options "${COMP_WORDS[at + 1]}")
      fi
      ;;
    graph)
      if ((COMP_CWORD == at + 1)); then
        words='add-channel add-operator create destroy drain export feed import kinds list pause resume schema show start stats'
        words+=' stop wait --help'
      elif [ "${COMP_WORDS[at + 1]}" = export ]; then
        words='--json --dot'
      elif [ "${COMP_WORDS[at + 1]}" = import ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      ;;
    ai_bench) words='--model --count --help' ;;
    infdemo) words='--model --number --help' ;;
    ask) words='--graph --model --help' ;;
    mldemo) words='--count --model --help' ;;
    audit)
      if ((COMP_CWORD == at + 1)); then
        words='verify --count --skip --help'
      elif [ "${COMP_WORDS[at + 1]}" = verify ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      ;;
    bench | counters | ctlhex | cpus | irq | mem | npudemo | pmu | ps | sched) words=--help ;;
  esac
  [ -n "$words" ] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _sisctl sisctl
