#!/usr/bin/env python3
"""The Python package on compiled models of the examples. LATHE names the compiler, LATHE_SOURCE the source folder.

What is expected of digits is what NumPy answered in examples/digits/train.py (test_data). Runs without numpy too: then the tests
that are about numpy say that they were skipped."""
import array
import gc
import json
import os
import pathlib
import shutil
import struct
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import lathe  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None

SOURCE = pathlib.Path(os.environ.get("LATHE_SOURCE", pathlib.Path(__file__).resolve().parents[3]))
EXAMPLES = SOURCE / "examples"
sys.path.insert(0, str(SOURCE / "tests/tools"))
import onnxfile  # noqa: E402
needs_numpy = unittest.skipUnless(numpy, "numpy is not installed")


def npy_floats(path):
    """The elements of a version 1 .npy of float32."""
    data = path.read_bytes()
    data = data[10 + struct.unpack("<H", data[8:10])[0]:]
    return array.array("f", data)


def floats(value):
    """Flat numbers of an output, whichever kind of array it is."""
    if numpy is not None:
        return numpy.asarray(value).ravel().tolist()
    return value.memory().tolist()


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = pathlib.Path(cls.folder.name)
        cls.digits = lathe.compile(EXAMPLES / "digits/digits.onnx", cls.base / "digits.so").load()
        cls.gpt = lathe.compile(EXAMPLES / "shakespeare/shakespeare.onnx", cls.base / "gpt.so",
                                dims={"batch": (1, 16), "seq": (1, 64)}).load()
        cls.image = memoryview(npy_floats(EXAMPLES / "digits/test_data/input_0.npy")).cast("B").cast("f", (1, 1, 8, 8))
        cls.scores = npy_floats(EXAMPLES / "digits/test_data/output_0.npy")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def assert_scores(self, got):
        got = floats(got)
        self.assertEqual(len(got), len(self.scores))
        for a, b in zip(got, self.scores):
            self.assertAlmostEqual(a, b, delta=1e-4)


class Description(Models):
    def test_inputs_outputs_memory(self):
        image, scores = self.digits.inputs[0], self.digits.outputs[0]
        self.assertEqual((image.name, image.dtype, image.shape, image.optional), ("image", "float32", (1, 1, 8, 8), False))
        self.assertEqual((scores.name, scores.dtype, scores.shape), ("scores", "float32", (1, 10)))
        self.assertGreaterEqual(self.digits.memory["weights"], 6090 * 4)  # train.py counts the weights

    def test_symbolic_dims(self):
        self.assertEqual(self.gpt.inputs[0].shape, ("batch", "seq"))
        self.assertEqual(set(self.gpt.symbols), {"batch", "seq"})


class Running(Models):
    def test_by_position_by_name_by_dict(self):
        for result in (self.digits.run(self.image), self.digits.run(image=self.image), self.digits.run({"image": self.image})):
            self.assertEqual(list(result), ["scores"])
            self.assert_scores(result["scores"])

    def test_results_are_new_arrays(self):
        first = self.digits.run(self.image)["scores"]
        self.digits.run(memoryview(array.array("f", bytes(256))).cast("B").cast("f", (1, 1, 8, 8)))
        self.assert_scores(first)

    def test_session_keeps_what_is_bound(self):
        session = self.digits.session(threads=1)
        image = array.array("f", self.image.tobytes())
        session.bind("image", memoryview(image).cast("B").cast("f", (1, 1, 8, 8)))
        first = session.run()["scores"]
        self.assert_scores(first)
        self.assertIs(session.run()["scores"], first)
        image[:] = array.array("f", bytes(256))
        blank = floats(session.run()["scores"])
        self.assertNotAlmostEqual(blank[3], self.scores[3], delta=0.1)
        self.assertEqual(session.threads, 1)

    def test_session_writes_into_a_bound_output(self):
        session = self.digits.session()
        mine = array.array("f", bytes(40))
        session.bind("scores", memoryview(mine).cast("B").cast("f", (1, 10)))
        session(self.image)
        for a, b in zip(mine, self.scores):
            self.assertAlmostEqual(a, b, delta=1e-4)

    def test_read_only_inputs_are_taken_outputs_are_not(self):
        data = memoryview(bytes(self.image.cast("B"))).cast("f", (1, 1, 8, 8))
        self.assert_scores(self.digits.run(data)["scores"])
        with self.assertRaisesRegex(TypeError, "scores: the array is read-only"):
            self.digits.session().bind("scores", memoryview(bytes(40)).cast("f", (1, 10)))

    def test_symbolic_shapes_follow_the_input(self):
        for batch, length in ((1, 1), (3, 5), (16, 64)):
            tokens = memoryview(array.array("q", [1] * (batch * length))).cast("B").cast("q", (batch, length))
            self.assertEqual(tuple(self.gpt.run(tokens)["logits"].shape), (batch, length, 65))

    def test_threads_have_sessions_of_their_own(self):
        wrong = []

        def work():
            for _ in range(50):
                if abs(floats(self.digits.run(self.image)["scores"])[3] - self.scores[3]) > 1e-4:
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Refusals(Models):
    def test_the_model_says_what_is_wrong(self):
        bytes_image = memoryview(bytearray(64)).cast("B", (1, 1, 8, 8))
        cases = [(bytes_image, "image.*uint8.*float32"), (memoryview(array.array("f", bytes(256))).cast("B").cast("f", (1, 1, 4, 16)), "image"),
                 (memoryview(array.array("f", bytes(256))), "image")]
        for value, text in cases:
            with self.assertRaisesRegex(lathe.Error, text) as raised:
                self.digits.run(value)
            self.assertLess(raised.exception.code, 0)

    def test_dims_out_of_range(self):
        tokens = memoryview(array.array("q", [1] * 65)).cast("B").cast("q", (1, 65))
        with self.assertRaises(lathe.Error):
            self.gpt.run(tokens)

    def test_missing_unknown_and_impossible_arguments(self):
        with self.assertRaisesRegex(lathe.Error, "'image' is not given"):
            self.digits.run()
        with self.assertRaisesRegex(KeyError, "picture"):
            self.digits.run(picture=self.image)
        with self.assertRaisesRegex(TypeError, "2 were given"):
            self.digits.run(self.image, self.image)
        with self.assertRaisesRegex(TypeError, "image: int"):
            self.digits.run(3)
        self.assert_scores(self.digits.run(self.image)["scores"])  # and the model still works

    def test_files_that_are_no_models(self):
        with self.assertRaisesRegex(lathe.Error, "cannot be loaded"):
            lathe.load(EXAMPLES / "digits/digits.onnx")
        with self.assertRaisesRegex(lathe.CompileError, "nowhere.onnx") as raised:
            lathe.compile(self.base / "nowhere.onnx")
        self.assertEqual(raised.exception.status, 5)
        text = self.base / "text.onnx"
        text.write_text("no model")
        with self.assertRaises(lathe.CompileError) as raised:
            lathe.compile(text)
        self.assertEqual(raised.exception.status, 4)

    def test_capsules_from_elsewhere_are_refused(self):
        class Device:
            def __dlpack_device__(self):
                return (2, 0)

            def __dlpack__(self, **_):
                raise AssertionError("not to be asked")

        with self.assertRaisesRegex(TypeError, r"device \(2, 0\)"):
            self.digits.run(Device())


class Arrays(Models):
    def test_own_arrays_go_in_and_come_out(self):
        image = lathe.Array(1, (1, 1, 8, 8))
        image.memory()[:] = self.image.cast("B").cast("f")
        self.assert_scores(self.digits.run(image)["scores"])
        self.assertEqual(lathe.Array(7, (2, 3)).tolist(), [[0, 0, 0], [0, 0, 0]])
        self.assertEqual(lathe.Array(7, ()).tolist(), 0)
        self.assertEqual(lathe.Array(1, (2, 0)).tolist(), [[], []])

    def test_capsules_are_given_back(self):
        from lathe import array as inside
        own = lathe.Array(1, (2, 3))
        for _ in range(10):
            own.__dlpack__()
        gc.collect()
        self.assertEqual(len(inside._lent), 0)

    @needs_numpy
    def test_numpy_reads_own_arrays_without_a_copy(self):
        from lathe import array as inside
        own = lathe.Array(1, (2, 3))
        by_dlpack, by_interface = numpy.from_dlpack(own), numpy.asarray(own)
        own.memory()[4] = 7
        self.assertEqual((by_dlpack[1, 1], by_interface[1, 1]), (7, 7))
        self.assertEqual(by_dlpack.dtype, numpy.float32)
        del by_dlpack
        gc.collect()
        self.assertEqual(len(inside._lent), 0)

    @needs_numpy
    def test_numpy_goes_in_without_a_copy_and_comes_out(self):
        image = numpy.load(EXAMPLES / "digits/test_data/input_0.npy")
        session = self.digits.session()
        session.bind("image", image)
        self.assertIsInstance(session.run()["scores"], numpy.ndarray)
        image[:] = 0
        self.assertNotAlmostEqual(session.run()["scores"][0, 3], self.scores[3], delta=0.1)
        image.flags.writeable = False
        self.assertEqual(self.digits.run(image)["scores"].shape, (1, 10))
        with self.assertRaises(lathe.Error):
            self.digits.run(numpy.zeros((1, 1, 8, 8)))  # float64
        with self.assertRaises(lathe.Error):
            self.digits.run(numpy.zeros((8, 8, 1, 1), numpy.float32))

    @needs_numpy
    def test_strided_arrays_are_refused_or_right(self):
        image = numpy.load(EXAMPLES / "digits/test_data/input_0.npy")
        wide = numpy.zeros((1, 1, 8, 16), numpy.float32)
        wide[..., ::2] = image
        try:
            got = self.digits.run(wide[..., ::2])["scores"]
        except lathe.Error as error:
            self.assertRegex(str(error), "image")
        else:
            self.assert_scores(got)


class Compiling(Models):
    def test_beside_the_model_and_from_memory(self):
        model = self.base / "copy.onnx"
        shutil.copy(EXAMPLES / "digits/digits.onnx", model)
        artifact = lathe.compile(model, cpu="x86-64-v3", options=["-O0"])
        self.assertEqual(os.fspath(artifact), str(self.base / "copy.so"))
        self.assert_scores(artifact.load().run(self.image)["scores"])

        class Proto:
            def SerializeToString(self):
                return model.read_bytes()

        self.assert_scores(lathe.compile(Proto(), self.base / "memory.so").load().run(self.image)["scores"])
        with self.assertRaisesRegex(TypeError, "output"):
            lathe.compile(Proto())

    def test_the_vocabulary_of_the_example_in_c(self):
        characters = json.loads((EXAMPLES / "shakespeare/vocabulary.json").read_text())["chars"]
        text = "".join(characters).replace("\n", "\\n")
        self.assertIn(f'characters[] = "{text}"', (EXAMPLES / "shakespeare/main.c").read_text())


class Values(unittest.TestCase):
    """Models whose course depends on data: sizes that a run finds, sequences, strings."""

    def compiled(self, nodes, inputs, outputs):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "model.onnx"
        path.write_bytes(onnxfile.model(nodes, inputs, outputs))
        return lathe.compile(path, path.with_suffix(".so")).load()

    def test_a_run_finds_the_size(self):
        model = self.compiled([onnxfile.node("NonZero", ["x"], ["y"])], [onnxfile.value("x", ["n"])],
                              [onnxfile.value("y", [1, "m"], onnxfile.INT64)])
        for numbers in ([1, 0, 2], [0, 0], [3, 3, 3, 3]):
            y = model.run(array.array("f", numbers))["y"]
            places = [i for i, number in enumerate(numbers) if number]
            self.assertEqual(tuple(y.shape), (1, len(places)))
            self.assertEqual(floats(y), places)
        with self.assertRaises(lathe.Error) as caught:
            model.run(memoryview(array.array("f", [1, 2])).cast("B").cast("f", (1, 2)))
        self.assertEqual(caught.exception.code, -2)
        with self.assertRaises(lathe.Error):
            model.session().run()

    def test_strings(self):
        string = 8
        model = self.compiled([onnxfile.node("StringConcat", ["a", "b"], ["y"])],
                              [onnxfile.value("a", [2, 1], string), onnxfile.value("b", ["n"], string)],
                              [onnxfile.value("y", [2, "n"], string)])
        self.assertEqual(model.inputs[0].dtype, "string")
        y = model.run([["x"], ["\u00e9"]], ["", "1", "\u2603"])["y"]
        expected = [["x", "x1", "x\u2603"], ["\u00e9", "\u00e91", "\u00e9\u2603"]]
        self.assertEqual(y if isinstance(y, list) else y.tolist(), expected)
        with self.assertRaises(TypeError):
            model.run([["x"], ["y", "z"]], ["a"])

    def test_sequences(self):
        split = onnxfile.node("SplitToSequence", ["x"], ["s"], axis=0)
        items = onnxfile.field(1, "s") + onnxfile.field(2, onnxfile.field(4, onnxfile.field(1, onnxfile.field(1, onnxfile.field(1, 1)))))
        model = self.compiled([split], [onnxfile.value("x", ["n", 2])], [items])
        self.assertTrue(model.outputs[0].sequence)
        x = memoryview(array.array("f", range(6))).cast("B").cast("f", (3, 2))
        self.assertEqual([floats(item) for item in model.run(x)["s"]], [[0, 1], [2, 3], [4, 5]])


if __name__ == "__main__":
    if not (os.environ.get("LATHE") or shutil.which("lathe")):
        print("skipped: LATHE does not name the compiler, and it is not in PATH")
        sys.exit(77)
    unittest.main()
