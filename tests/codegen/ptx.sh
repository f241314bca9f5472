#!/bin/sh
# ptx.sh LATHE MODEL...: every kernel of the models must assemble for every GPU level, with the exact schedules and with those of the
# matrix instructions. Without NVIDIA's assembler the test is skipped (77).
lathe=$1
shift
[ $# -gt 0 ] || { echo "skipped: no models were named" && exit 77; }
levels=sm_75,sm_80,sm_86,sm_87,sm_89,sm_90,sm_100
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
if "$lathe" doctor | grep -q "ptxas *none"; then
  echo "skipped: ptxas was not found (PATH, LATHE_PTXAS)"
  exit 77
fi
failures=0
for model in "$@"; do
  for math in default fast; do
    "$lathe" compile "$model" -o "$folder/model.so" --target "cuda:$levels" --math $math --no-cache --quiet >"$folder/said" 2>&1
    code=$?
    if [ $code -eq 3 ]; then
      echo "not supported: $model"
      break
    fi
    if [ $code -ne 0 ]; then
      echo "FAIL $model, --math $math: $(cat "$folder/said")"
      failures=$((failures + 1))
      continue
    fi
    echo "$model, --math $math: $("$lathe" inspect "$folder/model.so" | sed -n 's/^kernels *//p' | tr '\n' ' ')"
    # A level without a cubin for each of its kernels.
    "$lathe" inspect "$folder/model.so" | grep -q "^kernels .*: 0 cubins" && failures=$((failures + 1))
  done
done
exit $((failures > 0))
