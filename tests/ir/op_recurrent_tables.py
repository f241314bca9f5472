"""Writes tests/ir/op_recurrent_tables.h: recurrent networks, linear attention, causal convolution.

Run from the root: python3 tests/ir/op_recurrent_tables.py > tests/ir/op_recurrent_tables.h

What RNN, GRU and LSTM give is written down here once more from the specification, element by element in double precision, for ONNX's
reference evaluator knows neither activations nor clip, lengths, peepholes of each direction or a reset of either kind.
"""
import numpy as np
from family_cases import K, case, real, write

FUNCTIONS = {
    "Affine": lambda x, a, b: a * x + b, "Elu": lambda x, a, b: x if x >= 0 else a * (np.exp(x) - 1),
    "HardSigmoid": lambda x, a, b: min(max(a * x + b, 0), 1), "LeakyRelu": lambda x, a, b: x if x >= 0 else a * x,
    "Relu": lambda x, a, b: max(x, 0), "ScaledTanh": lambda x, a, b: a * np.tanh(b * x), "Sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x, a, b: np.log(1 + np.exp(x)), "Softsign": lambda x, a, b: x / (1 + abs(x)), "Tanh": lambda x, a, b: np.tanh(x),
    "ThresholdedRelu": lambda x, a, b: x if x >= a else 0,
}
ALPHA = {"Affine": 1, "Elu": 1, "HardSigmoid": 0.2, "LeakyRelu": 0.01, "ScaledTanh": 1, "ThresholdedRelu": 1}
BETA = {"Affine": 0, "HardSigmoid": 0.5, "ScaledTanh": 1}
USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def functions(op, directions, activations, alphas, betas):
    alphas, betas, made = list(alphas), list(betas), []
    for name in activations or USUAL[op] * directions:
        name = next(known for known in FUNCTIONS if known.lower() == name.lower())
        a = (alphas.pop(0) if alphas else ALPHA[name]) if name in ALPHA else 0
        b = (betas.pop(0) if betas else BETA[name]) if name in BETA else 0
        made.append(np.vectorize(lambda x, f=FUNCTIONS[name], a=a, b=b: f(x, a, b), otypes=[float]))
    return made


def one_direction(op, x, w, r, b, p, h, c, fs, clip, reset_after, couple):
    """The steps of one sequence: x is [T, I]; gives all h, the last h and c."""
    bound = (lambda v: np.clip(v, -clip, clip)) if clip is not None else (lambda v: v)
    size = h.shape[0]
    wb, rb = b[: len(b) // 2], b[len(b) // 2 :]
    part = lambda v, i: v[i * size : (i + 1) * size]
    all_h = []
    for xt in x:
        if op == "RNN":
            h = fs[0](bound(w @ xt + r @ h + wb + rb))
        elif op == "GRU":
            gate = lambda i: part(w, i) @ xt + part(r, i) @ h + part(wb, i) + part(rb, i)
            z, reset = fs[0](bound(gate(0))), fs[0](bound(gate(1)))
            if reset_after:
                new = part(w, 2) @ xt + reset * (part(r, 2) @ h + part(rb, 2)) + part(wb, 2)
            else:
                new = part(w, 2) @ xt + part(r, 2) @ (reset * h) + part(rb, 2) + part(wb, 2)
            h = (1 - z) * fs[1](bound(new)) + z * h
        else:
            gate = lambda i: part(w, i) @ xt + part(r, i) @ h + part(wb, i) + part(rb, i)
            i = fs[0](bound(gate(0) + part(p, 0) * c))
            f = 1 - i if couple else fs[0](bound(gate(2) + part(p, 2) * c))
            c_now = f * c + i * fs[1](bound(gate(3)))
            h = fs[0](bound(gate(1) + part(p, 1) * c_now)) * fs[2](c_now)
            c = c_now
        all_h.append(h)
    return all_h, h, c


def expected(op, X, W, R, B, L, H, C, P, layout=0, direction="forward", activations=(), activation_alpha=(), activation_beta=(), clip=None,
             linear_before_reset=0, input_forget=0, hidden_size=None):
    dtype = X.dtype
    wide = lambda v: None if v is None else v.astype(np.float64)
    X, W, R, B, H, C, P = map(wide, (X, W, R, B, H, C, P))
    if layout:
        X, H, C = X.swapaxes(0, 1), None if H is None else H.swapaxes(0, 1), None if C is None else C.swapaxes(0, 1)
    steps, batch, directions, size = X.shape[0], X.shape[1], W.shape[0], R.shape[2]
    fs = functions(op, directions, activations, activation_alpha, activation_beta)
    per = len(USUAL[op])
    Y, YH, YC = np.zeros((steps, directions, batch, size)), np.zeros((directions, batch, size)), np.zeros((directions, batch, size))
    for d in range(directions):
        back = d == 1 or direction == "reverse"
        for n in range(batch):
            length = steps if L is None else int(L[n])
            order = range(length - 1, -1, -1) if back else range(length)
            hs, YH[d, n], YC[d, n] = one_direction(
                op, X[list(order), n], W[d], R[d], np.zeros(2 * W.shape[1]) if B is None else B[d], np.zeros(3 * size) if P is None else P[d],
                np.zeros(size) if H is None else H[d, n], np.zeros(size) if C is None else C[d, n], fs[d * per : (d + 1) * per], clip,
                linear_before_reset, input_forget)
            for t, h in zip(order, hs):
                Y[t, d, n] = h
    if layout:
        Y, YH, YC = Y.transpose(2, 0, 1, 3), YH.swapaxes(0, 1), YC.swapaxes(0, 1)
    return [v.astype(dtype) for v in ([Y, YH, YC] if op == "LSTM" else [Y, YH])]


def network(name, op, steps=4, batch=3, size=5, features=2, optional="", dtype=np.float32, lengths=None, constant=False, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = GATES[op] * size
    give = lambda *shape: real(*shape, dtype=np.float32, low=-0.9, high=0.9).astype(dtype)
    X, W, R = give(steps, batch, features), give(directions, rows, features), give(directions, rows, size)
    B = give(directions, 2 * rows) if "B" in optional else None
    L = None if lengths is None else np.array(lengths, np.int32)
    H, C = give(directions, batch, size) if "H" in optional else None, give(directions, batch, size) if "C" in optional else None
    P = give(directions, 3 * size) if "P" in optional else None
    if attributes.get("layout"):
        X, H, C = X.swapaxes(0, 1).copy(), None if H is None else H.swapaxes(0, 1).copy(), None if C is None else C.swapaxes(0, 1).copy()
    outputs = expected(op, X, W, R, B, L, H, C, P, **attributes)
    k = (lambda v: K(v) if v is not None else None) if constant else (lambda v: v)
    inputs = [X, k(W), k(R), k(B), L, H] + ([C, k(P)] if op == "LSTM" else [])
    case(name, op, *inputs, outputs=len(outputs), expected=outputs, tolerance=2e-3 if dtype == np.float16 else 2e-5, hidden_size=size, **attributes)


for op in ("RNN", "GRU", "LSTM"):
    extra = "BHCP" if op == "LSTM" else "BH"
    low = op.lower()
    network(f"{low}", op)
    network(f"{low}-one-step", op, steps=1, optional=extra)
    network(f"{low}-one-step-without-state", op, steps=1, optional="B")
    network(f"{low}-no-step", op, steps=0, optional=extra)
    network(f"{low}-all-inputs", op, optional=extra, constant=True, size=17)
    network(f"{low}-reverse", op, optional=extra, direction="reverse")
    network(f"{low}-bidirectional", op, optional=extra, direction="bidirectional", constant=True)
    network(f"{low}-lengths", op, optional=extra, lengths=[2, 4, 0])
    network(f"{low}-lengths-bidirectional", op, optional=extra, lengths=[3, 1, 4], direction="bidirectional")
    network(f"{low}-batch-first", op, optional=extra, layout=1, direction="bidirectional", lengths=[4, 2, 3])
    network(f"{low}-f64", op, optional=extra, dtype=np.float64, direction="reverse")
    network(f"{low}-f16", op, optional=extra, dtype=np.float16)
    network(f"{low}-clip", op, optional=extra, clip=0.3)
network("gru-reset-after", "GRU", optional="BH", linear_before_reset=1, constant=True, size=17)
network("gru-reset-after-bidirectional", "GRU", optional="H", linear_before_reset=1, direction="bidirectional", lengths=[1, 4, 2])
network("gru-reset-after-one-step", "GRU", steps=1, optional="B", linear_before_reset=1)
network("lstm-coupled", "LSTM", optional="BHCP", input_forget=1)
for name in FUNCTIONS:
    numbers = {}
    if name in ALPHA:
        numbers["activation_alpha"] = [0.75]
    if name in BETA:
        numbers["activation_beta"] = [0.4]
    network(f"rnn-{name}", "RNN", optional="BH", activations=[name.lower()], **numbers)
    network(f"rnn-{name}-usual", "RNN", optional="BH", activations=[name])
network("lstm-functions", "LSTM", optional="BH", direction="bidirectional", activations=["HardSigmoid", "Relu", "ScaledTanh", "Sigmoid", "Elu", "Affine"],
        activation_alpha=[0.3, 0.9, 0.7, 1.1], activation_beta=[0.4, 0.8, 0.05])
network("gru-functions", "GRU", optional="BH", direction="bidirectional", activations=["HardSigmoid", "LeakyRelu", "Sigmoid", "Softsign"],
        activation_alpha=[0.3, 0.05], activation_beta=[0.6])

# ---- what ONNX's reference evaluator knows ----
for rule in ("linear", "gated", "delta", "gated_delta"):
    for many, few, steps, each in ((2, 2, 3, False), (4, 2, 2, True), (3, 1, 1, True)):
        q, k, v = real(2, steps, many * 4), real(2, steps, few * 4, low=-0.5, high=0.5), real(2, steps, few * 3)
        past = real(2, few, 4, 3) if steps != 2 else None
        decay = real(2, steps, few * (4 if each else 1), low=-1, high=0) if "gated" in rule else None
        beta = real(2, steps, few if each else 1, low=0, high=1) if "delta" in rule else None
        case(f"linear-attention-{rule}-{many}-{few}", "LinearAttention", q, k, v, past, decay, beta, outputs=2, tolerance=2e-5, update_rule=rule,
             q_num_heads=many, kv_num_heads=few, **({"scale": 0.7} if each else {}))
for taps, length, activation in ((1, 3, "none"), (4, 6, "silu"), (3, 1, "swish"), (11, 5, "none")):
    x, w = real(2, 3, length), K(real(3, 1, taps))  # the length of the filter has to be known
    case(f"causal-conv-{taps}", "CausalConvWithState", x, w, real(3), real(2, 3, taps - 1), outputs=2, tolerance=2e-5, activation=activation)
    if taps > 1:
        case(f"causal-conv-{taps}-fresh", "CausalConvWithState", x, w, outputs=2, tolerance=2e-5, activation=activation)
write(__file__)
