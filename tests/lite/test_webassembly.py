"""minicnn as WebAssembly, without a browser: Node runs it on the wheels of the lessons' site."""

import shutil
import subprocess
import textwrap
from pathlib import Path


def run(site: Path, program: str) -> str:
    """Run a program there, where every warning is an error, and return what it printed."""
    program = "import warnings\nwarnings.simplefilter('error')\n" + textwrap.dedent(program)
    command = [str(shutil.which("node")), Path(__file__).with_name("run_python.mjs"), site / "static" / "pyodide"]
    done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_check_a_training_step_and_data_work_without_threads(lite_site: Path) -> None:
    program = """
        import sys
        import numpy as np
        import minicnn
        from minicnn import Tensor, nn, optim, functional as F
        from minicnn.data import DataLoader, load_shapes, transforms
        from minicnn.lessons import check

        assert sys.platform == "emscripten" and "safetensors" not in sys.modules
        print(check.lrn_window(lambda i, n, C: (max(0, i - n // 2), min(C - 1, i + n // 2))).verdict)
        minicnn.set_num_threads(2)
        minicnn.manual_seed(0)
        shapes = load_shapes(train=8, test=1)
        prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.25])])
        (images, labels), = DataLoader(shapes.train_set(prepare), batch_size=8, num_workers=2)
        model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.LocalResponseNorm(5), nn.ReLU(), nn.MaxPool2d(3, 2),
                              nn.Flatten(), nn.Linear(8 * 15 * 15, 10))
        optimiser = optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            loss = F.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            print(loss.item())
    """
    verdict, *losses = run(lite_site, program).splitlines()
    assert verdict.startswith("right, for all")
    first, _, last = map(float, losses)
    assert 1.5 < first < 4 and last < first


def test_products_of_matrices_and_their_stacks_are_right(lite_site: Path) -> None:
    program = """
        import numpy as np
        from minicnn.backend import product

        rng = np.random.default_rng(0)
        for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
            for one, other in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((1, 3, 4), (6, 4, 5)), ((4,), (4, 5))]:
                a, b = rng.normal(size=one).astype(dtype), rng.normal(size=other).astype(dtype)
                found = product(np, a, b)
                assert found.dtype == dtype
                np.testing.assert_allclose(found, np.matmul(a, b), rtol=0, atol=tolerance)
                turned = product(np, np.asfortranarray(a), np.asfortranarray(b))
                np.testing.assert_allclose(turned, found, rtol=0, atol=tolerance)
        out = np.empty((3, 5), np.float32)
        assert product(np, np.ones((3, 4), np.float32), np.ones((4, 5), np.float32), out) is out and (out == 4).all()
        print("done")
    """
    assert run(lite_site, program) == "done\n"


def test_what_a_browser_cannot_do_is_said_where_it_is_asked_for(lite_site: Path) -> None:
    program = """
        from pathlib import Path
        import minicnn
        from minicnn.data.cifar10 import fetch

        def numba():
            with minicnn.use_kernels("numba"):
                pass

        tasks = numba, lambda: minicnn.randn(2).to("cuda"), lambda: fetch("https://example.org/x/", Path("x"))
        for task in tasks:
            try:
                task()
            except (ImportError, minicnn.errors.MinicnnError) as error:
                print(error)
    """
    numba, gpu, cifar = run(lite_site, program).splitlines()
    assert numba == "use_kernels: Numba cannot run in a browser, which has the NumPy kernels only"
    assert gpu == "device 'cuda' needs an NVIDIA GPU, which minicnn cannot reach from a browser: use 'cpu'"
    assert cifar.startswith("cannot download https://example.org/x/") and "load_shapes() needs no download" in cifar


def test_an_endless_loop_is_stopped(lite_site: Path) -> None:
    program = """
        import sys
        from minicnn.lessons import check
        from minicnn.lessons.limits import TimeLimit, call

        def forever():
            while True:
                pass

        def catching_everything():
            while True:
                try:
                    forever()
                except:
                    pass

        def returning_late():
            try:
                forever()
            except:
                return 3

        def in_a_generator():
            return sum(1 for _ in iter(lambda: 1, 2))

        for function in (forever, catching_everything, returning_late, in_a_generator):
            try:
                call(function, (), 0.1)
            except TimeLimit as limit:
                print(function.__name__, limit.stopped)
        assert call(divmod, (7, 2), 10) == (3, 1)
        try:
            call(divmod, (7, 0), 10)
        except ZeroDivisionError:
            print("its own error")
        assert sys.monitoring.get_tool(sys.monitoring.PROFILER_ID) is None
        print(check.lrn_window(lambda i, n, C: forever(), seconds=0.1).verdict)
    """
    assert run(lite_site, program).splitlines() == [
        "forever True",
        "catching_everything True",
        "returning_late True",
        "in_a_generator True",
        "its own error",
        "not yet: your function had not returned after 0.1 s",
    ]
