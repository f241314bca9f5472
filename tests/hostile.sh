#!/bin/sh
# Small models that are wrong, greedy or odd: the exit code, and one to three lines that say why.   hostile.sh LATHE FOLDER
#
# FOLDER/cases.tsv: file, exit code, words of the message. Then bad calls of a good model, and a compilation that must give the same bytes
# wherever, whenever and however parallel it is made.
lathe=$1 folder=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
    echo "FAIL $1"
    sed 's/^/     /' "$work/err"
    failed=$((failed + 1))
}

# expect NAME CODE WORDS COMMAND...: what the command answers, within a minute
expect() {
    name=$1 code=$2 words=$3
    shift 3
    timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    lines=$(wc -l <"$work/err")
    if [ $got -ne "$code" ]; then
        fail "$name: exit code $got, not $code"
    elif [ "$code" -eq 0 ] && [ "$lines" -ne 0 ]; then
        fail "$name: runs, but says something"
    elif [ "$code" -ne 0 ] && { [ "$lines" -lt 1 ] || [ "$lines" -gt 3 ]; }; then
        fail "$name: $lines lines"
    elif [ "$code" -ne 0 ] && ! grep -qF -e "$words" "$work/err"; then
        fail "$name: does not say \"$words\""
    fi
}

tab=$(printf '\t')
count=0
while IFS=$tab read -r file code words; do
    expect "$file" "$code" "$words" "$lathe" run --progress none --cache-dir "$work/cache" "$folder/$file" -i ones
    count=$((count + 1))
done <"$folder/cases.tsv"

# ---- bad calls: the message names the input and both values ----
good=$folder/../onnx/good/dense.onnx tensors=$folder/../tensorfiles
run() {
    expect "$@" --progress none --cache-dir "$work/cache"
}
run wrong-shape 4 'holds f32[2,3], but the input "x" is f32[3,3]' "$lathe" run "$good" -i "x=$tensors/f32.npy" -i ones --dim batch=3
run wrong-dtype 4 'holds f64[2,3], but the input "x" is f32[?,3]' "$lathe" run "$good" -i "x=$tensors/f64.npy" -i ones
run missing 2 'the input "b", f32[?,4], is not given' "$lathe" run "$good" -i "x=$tensors/f32.npy"
run outside-range 4 'batch is not within the range from 3 to 9' "$lathe" run "$good" -i "x=$tensors/f32.npy" -i ones --dim batch=3..9@4
run dims-differ 4 'with batch=2' "$lathe" run "$good" -i "x=$tensors/f32.npy" -i ones --dim batch=1..9@4
run open-dim 2 'cannot fill the input "x": dimension 0 of f32[?,3] is not known' "$lathe" run "$good" -i ones
run too-much-memory 8 '--max-memory raises the limit' "$lathe" run "$good" -i ones --dim batch=1000 --max-memory 4k
count=$((count + 7))

# ---- the same bytes ----
# Locales that change letters and numbers are made here where the system can.
mkdir -p "$work/locales" "$work/a" "$work/b c/d"
localedef -i tr_TR -f UTF-8 "$work/locales/tr_TR.UTF-8" 2>/dev/null
cp "$folder/../onnx/good/if.onnx" "$work/a/mini.onnx"
cp "$good" "$work/a/dense.onnx"
cp "$work/a/mini.onnx" "$work/a/dense.onnx" "$work/b c/d"
for model in mini dense; do
    (cd "$work/a" && LC_ALL=C TZ=UTC expect "compile $model" 0 "" "$lathe" compile -q $model.onnx -o $model.so -j1 --no-cache)
    (cd "$work/b c/d" && LOCPATH="$work/locales" LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo \
        expect "compile $model elsewhere" 0 "" "$lathe" compile -q $model.onnx -o $model.so -j4 --cache-dir "$work/second")
    for suffix in so h json stages; do
        cmp "$work/a/$model.$suffix" "$work/b c/d/$model.$suffix" >"$work/err" 2>&1 || fail "$model.$suffix differs"
        count=$((count + 1))
    done
done

echo "$count cases, $failed failed"
[ $failed -eq 0 ]
