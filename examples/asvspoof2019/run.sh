#!/usr/bin/env bash
# The experiments of arXiv:2603.24343 on ASVspoof 2019 LA and PA and on Fake-or-Real. README.md beside this says more.
#
#   LA=/data/LA PA=/data/PA FOR=/data/for-norm examples/asvspoof2019/run.sh
#
# Stopped at any point, the same command goes on: a model that is there is not trained again, an evaluation that is
# done is not repeated, and deepcheck itself goes on within both. Needs bash 4.4. Variables, lists of words:
#
#   LA PA FOR   where each corpus lies; those that are not given are left out
#   FAMILIES    resnet18 gru wav2vec2-small wav2vec2-base
#   ARMS        baseline control lora dropin-frozen dropin-unfrozen plasticity (and, if named, plasticity-newest)
#   SEEDS       42 43 44
#   STEPS       train eval closer table
#   OUT         where all is kept (asvspoof2019-results)
#   EPOCHS      epochs of a third of a run, instead of those of the family
#   PRETRAINED  the encoder of wav2vec2-base: facebook/wav2vec2-base of the Hugging Face hub, or a folder
#   EXTRA       more options for every `deepcheck train`; EVAL_EXTRA for every `deepcheck eval`
#   DEEPCHECK   how to start it (deepcheck); PYTHON (python3) draws the last table
#   DRY_RUN     if set, only show the commands
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
read -ra deepcheck <<<"${DEEPCHECK:-deepcheck}"
read -ra families <<<"${FAMILIES:-resnet18 gru wav2vec2-small wav2vec2-base}"
read -ra arms <<<"${ARMS:-baseline control lora dropin-frozen dropin-unfrozen plasticity}"
read -ra seeds <<<"${SEEDS:-42 43 44}"
read -ra extra <<<"${EXTRA:-}"
read -ra eval_extra <<<"${EVAL_EXTRA:-}"
steps=" ${STEPS:-train eval closer table} "
out=${OUT:-asvspoof2019-results}

corpora=()
for name in LA PA FOR; do
  if [[ -n ${!name:-} ]]; then corpora+=("$name"); fi
done
if ((!${#corpora[@]})); then
  echo "run.sh: say where a corpus lies: LA=..., PA=... or FOR=..." >&2
  exit 2
fi

# What all arms of all families share: no augmentation, whole windows, constant rates, every epoch.
shared=(
  --set patience=null --set sampling.paired=0 --set sampling.min_crop_s=4
  --set optimizer.schedule=constant --set optimizer.warmup_steps=0
)

# A run is three thirds of so many epochs at these rates; the growth comes after the first.
choose_family() {
  recipe=${1%%-*} origin=()
  case $1 in
    resnet18) third=5 first=1e-3 second=1e-3 last=1e-3 growth='layer: "3,5", neurons: 128' ;;
    gru) third=5 first=1e-4 second=1e-4 last=1e-4 growth='layer: "2", neurons: 64' ;;
    wav2vec2-small) third=15 first=1e-4 second=5e-5 last=1e-5 growth='layer: "3", part: attention, neurons: 512' ;;
    wav2vec2-base) third=10 first=1e-4 second=5e-5 last=1e-5 growth='layer: "3", part: attention, neurons: 768' ;;
    *) echo "run.sh: there is no family $1" >&2 && exit 2 ;;
  esac
  if [[ $1 == wav2vec2-base ]]; then origin=(--pretrained "${PRETRAINED:-facebook/wav2vec2-base}"); fi
  third=${EPOCHS:-$third}
}

choose_corpus() {
  data=${!1}
  case $1 in
    LA) protocol=asvspoof2019-la by=attack ;;
    PA) protocol=asvspoof2019-pa by=attack,environment ;;
    FOR) protocol=fake-or-real by=source ;;
  esac
}

# What an arm does after the baseline, which is the first third of them all.
stages_of() {
  local grow="{do: grow, $growth}" two="{lr: $second}" three="{lr: $last}" long="epochs: $((2 * third))"
  case $1 in
    control) echo "[$two, $three]" ;;
    lora) echo "[{mode: lora, $long}]" ;;
    dropin-frozen) echo "[$grow, {mode: frozen, $long}]" ;;
    dropin-unfrozen) echo "[$grow, $two, $three]" ;;
    plasticity) echo "[$grow, $two, {do: prune, scope: grown, criterion: gradient-entropy}, $three]" ;;
    plasticity-newest) echo "[$grow, $two, {do: prune, criterion: newest}, $three]" ;;
    *) echo "run.sh: there is no arm $1" >&2 && exit 2 ;;
  esac
}

# LoRA adapts attention: the other families have none.
has() { [[ $2 != lora || $1 == wav2vec2-* ]]; }

run() {
  printf '+%s\n' "$(printf ' %q' "$@")" >&2
  if [[ -z ${DRY_RUN:-} ]]; then "$@"; fi
}

train() { # ARM SEED [OPTION...]
  if [[ ! -e $DEEPCHECK_HOME/models/$1-s$2.safetensors ]]; then
    run "${deepcheck[@]}" train --config "$here/$recipe.yaml" --name "$1-s$2" --seed "$2" --epochs "$third" \
      --lr "$first" --data "$data" --protocol "$protocol" --subset train --dev-subset dev \
      "${shared[@]}" "${@:3}" "${extra[@]}"
  fi
}

evaluate() { # NAME OPTION...: leaves NAME.json and NAME.txt once all is done
  local place=$DEEPCHECK_HOME/$1 to=/dev/null status=0
  if [[ -e $place.json ]]; then return; fi
  if [[ -z ${DRY_RUN:-} ]]; then to=$place.txt; fi
  run "${deepcheck[@]}" eval "${@:2}" --data "$data" --protocol "$protocol" --subset eval --by "$by" \
    --json "$place.part" --latex "$place.tex" "${eval_extra[@]}" >"$to" || status=$?
  if ((status && status != 3)); then exit "$status"; fi # 3: some files, named above, could not be scored
  if [[ -z ${DRY_RUN:-} ]]; then mv -- "$place.part" "$place.json"; fi
}

for corpus in "${corpora[@]}"; do
  choose_corpus "$corpus"
  for family in "${families[@]}"; do
    choose_family "$family"
    export DEEPCHECK_HOME=$out/${corpus,,}-$family # models and what becomes of them
    if [[ $steps == *" train "* ]]; then
      for seed in "${seeds[@]}"; do
        train baseline "$seed" "${origin[@]}"
        for arm in "${arms[@]}"; do
          if [[ $arm != baseline ]] && has "$family" "$arm"; then
            stages=$(stages_of "$arm")
            train "$arm" "$seed" --start "baseline-s$seed" --set "stages=$stages"
          fi
        done
      done
    fi

    all=() one=() against=()
    for arm in "${arms[@]}"; do
      if has "$family" "$arm"; then
        names=
        for seed in "${seeds[@]}"; do names+=${names:+,}$arm-s$seed; done
        all+=("$arm=$names")
        one+=("$arm-s${seeds[0]}")
        if [[ $arm == control ]]; then against=(--baseline "$arm-s${seeds[0]}"); fi
      fi
    done
    if [[ $steps == *" eval "* ]]; then evaluate tables "${all[@]}" "${against[@]}"; fi
    if [[ $steps == *" closer "* ]]; then
      evaluate closer "${one[@]}" "${against[@]}" --conditions clean,trim-silence --audit \
        --plots "$DEEPCHECK_HOME/plots"
    fi
  done
done

if [[ $steps == *" table "* ]]; then run "${PYTHON:-python3}" "$here/table.py" "$out"; fi
