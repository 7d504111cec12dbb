"""The command line: it reads the arguments, calls the floors below, and turns errors into one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from minicnn._version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``minicnn``; by default as the process was called.

    Returns
    -------
    int
        The exit status: 0, 1 if a check failed, 2 after an error of the user's making, 130 after Ctrl-C, 143 after
        SIGTERM.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.handler(options))
    except KeyboardInterrupt as stop:
        print(f"\nminicnn: interrupted. {stop}".rstrip(), file=sys.stderr)
        return 128 + int(getattr(stop, "signal", 2))  # as a shell reports a process that the signal has ended
    except Exception as error:
        if isinstance(error, _users_errors()):
            return _fail(str(error))
        raise


def _users_errors() -> tuple[type[Exception], ...]:
    """Return what one line can explain. Found when needed: the doctor must run where a library is absent."""
    from minicnn.backend import DeviceError
    from minicnn.data import DataError
    from minicnn.experiments.results import StudyError
    from minicnn.lessons.notebooks import LessonError
    from minicnn.training import CheckpointError, TrainingError

    return CheckpointError, DataError, DeviceError, LessonError, OSError, StudyError, TrainingError


def _fail(message: str) -> int:
    print(f"minicnn: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(f"{message} (see '{self.prog} --help')"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="minicnn", description="AlexNet, to be read: train, check and compare its parts.")
    parser.add_argument("--version", action="version", version=f"minicnn {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    study = commands.add_parser(
        "relu-vs-tanh",
        help="train a four-layer network with ReLU and with tanh and draw Figure 1 of the paper",
        description="Train a four-layer network with ReLU and with tanh, and draw Figure 1 of the AlexNet paper: "
        "how many epochs does each need to 25 % training error? Writes a picture, a table and a summary.",
    )
    study.set_defaults(handler=_relu_vs_tanh)
    study.add_argument("--data", choices=("cifar10", "shapes"), help="pictures to learn (default cifar10)")
    study.add_argument("--data-dir", type=Path, metavar="DIR", help="where CIFAR-10 is or shall be downloaded to")
    study.add_argument(
        "--inputs",
        choices=("raw", "standardised", "both"),
        help="raw: pixels of 0 to 255 minus the mean image, as in 2012; "
        "standardised: mean 0, variance 1 in each channel (default both)",
    )
    study.add_argument("--epochs", type=int, metavar="N", help="length of each run (default: cifar10 40, shapes 12)")
    study.add_argument(
        "--seeds", type=_whole_numbers, metavar="0,1,2", help="a run for each, for each curve (default 0)"
    )
    study.add_argument(
        "--search",
        action=argparse.BooleanOptionalAction,
        help="choose each learning rate that is not given by short runs of its own",
    )
    study.add_argument("--lr-relu", type=float, metavar="LR", help="learning rate of ReLU, for all inputs")
    study.add_argument("--lr-tanh", type=float, metavar="LR", help="learning rate of tanh, for all inputs")
    study.add_argument("--target-error", type=float, metavar="E", help="the error to reach (default 0.25)")
    study.add_argument(
        "--stop-at-target",
        action=argparse.BooleanOptionalAction,
        help="end a run once it has reached the target (otherwise it goes on to --epochs)",
    )
    study.add_argument("--out", type=Path, metavar="DIR", help="folder for the results (default relu-vs-tanh/DATA)")
    study.add_argument(
        "--limit", type=int, metavar="N", help="train on the first N pictures (default: cifar10 all, shapes 3000)"
    )
    study.add_argument(
        "--resume", action="store_true", help="go on with what is in the folder; what is not given is as it was there"
    )
    _add_threads(study)
    _add_device(study)
    _add_tf32(study)

    check = commands.add_parser("gradcheck", help="check the derivative of every operation against finite differences")
    check.set_defaults(handler=_gradcheck)
    _add_threads(check)
    _add_device(check)

    _add_train(commands)
    _add_evaluate(commands)
    _add_predict(commands)

    _add_summary(commands)
    _add_draw(commands)

    _add_import_torchvision(commands)
    _add_export_onnx(commands)
    _add_show(commands)
    _add_walk(commands)
    _add_ilsvrc(commands)
    _add_contributions(commands)

    _add_lessons(commands)
    warmup = commands.add_parser("warmup", help="compile every kernel now, so that nothing waits for it later")
    warmup.set_defaults(handler=_warmup)
    _add_doctor(commands)
    return parser


NETWORKS = ("alexnet", "alexnet-cifar", "lenet5", "four-layer")
VARIANTS = ("paper", "merged", "article", "torchvision")


def _add_train(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "train",
        help="train a network; stop and go on whenever you like",
        description="Train a network on CIFAR-10, the drawn shapes or a folder of pictures, and judge it by the test "
        "pictures at the end. Ctrl-C saves and leaves; --resume goes on, bit for bit. What is not given is as it was "
        "in the run that is resumed, else the default.",
    )
    parser.set_defaults(handler=_train)
    parser.add_argument("network", nargs="?", choices=NETWORKS, help=f"which network: {', '.join(NETWORKS)}")
    parser.add_argument(
        "--data", metavar="DATA", help="cifar10, shapes, or a folder: FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg"
    )
    _add_data_dir(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default runs/NETWORK-DATA)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in the folder; it may get more epochs"
    )
    parser.add_argument("--epochs", type=_positive, metavar="N", help="length (default: alexnet 90, others 20)")

    network = parser.add_argument_group("network")
    network.add_argument("--variant", choices=VARIANTS, help="of alexnet (default paper)")
    network.add_argument("--activation", choices=("relu", "tanh", "sigmoid"), help="default relu; lenet5 tanh")
    network.add_argument("--lrn", action=argparse.BooleanOptionalAction, help="local response normalisation")
    network.add_argument("--dropout", type=float, metavar="P", help="probability of being dropped (default 0.5)")
    network.add_argument(
        "--overlapping", action=argparse.BooleanOptionalAction, help="pools of 3x3 at stride 2, or 2x2"
    )
    network.add_argument("--groups", type=_positive, metavar="N", help="towers")
    network.add_argument("--depth", type=int, choices=(5, 3), help="convolutions of alexnet-cifar (default 5)")
    network.add_argument(
        "--init",
        choices=("normal", "xavier", "he"),
        help="first weights: of four-layer; of alexnet: he, for a few thousand standardised pictures",
    )
    network.add_argument("--in-size", type=_positive, metavar="N", help="height and width of what the network sees")
    network.add_argument("--num-classes", type=_positive, metavar="N", help="outputs (default as the data have)")

    pictures = parser.add_argument_group("pictures")
    pictures.add_argument(
        "--inputs",
        choices=("raw", "standardised"),
        help="raw: pixels of 0 to 255 minus the mean image, as in 2012 (default of alexnet paper and merged without "
        "--init); standardised: mean 0, variance 1 in each channel (default of the others)",
    )
    pictures.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, help="random crops and mirror images (default yes)"
    )
    pictures.add_argument(
        "--colour", action=argparse.BooleanOptionalAction, help="random shifts of colour (default for folders)"
    )
    pictures.add_argument(
        "--padding", type=int, metavar="N", help="grey edge before the crop (default 4 for networks that see 32x32)"
    )
    pictures.add_argument(
        "--validation",
        type=float,
        metavar="SHARE",
        help="of the training pictures (default 0.1; unless FOLDER/val is there)",
    )
    pictures.add_argument("--limit", type=_positive, metavar="N", help="use so many training and test pictures only")
    pictures.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    pictures.add_argument("--cache", action="store_true", help="keep a folder's decoded pictures in memory")

    learning = parser.add_argument_group("learning")
    learning.add_argument("--batch-size", type=_positive, metavar="N", help="default 128")
    learning.add_argument("--lr", type=float, help="learning rate at first (default 0.01)")
    learning.add_argument("--momentum", type=float, metavar="M", help="default 0.9")
    learning.add_argument("--weight-decay", type=float, metavar="D", help="default 0.0005")
    learning.add_argument("--sgd", choices=("paper", "pytorch"), help="learning rate inside the velocity, or outside")
    learning.add_argument(
        "--schedule",
        choices=("plateau", "epochs"),
        help="the learning rate is divided by ten when the validation error has stopped improving (default), or after "
        "the epochs of --lr-drops",
    )
    learning.add_argument("--patience", type=_positive, metavar="N", help="epochs without improvement (default 3)")
    learning.add_argument("--lr-drops", type=_whole_numbers, metavar="30,60", help="the epochs; implies the schedule")
    learning.add_argument("--seed", type=int, metavar="N", help="of everything random (default 0)")

    keeping = parser.add_argument_group("keeping and computing")
    keeping.add_argument(
        "--checkpoint-minutes", type=float, default=10, metavar="T", help="between checkpoints in an epoch (default 10)"
    )
    keeping.add_argument("--keep", type=_positive, default=3, metavar="K", help="how many checkpoints (default 3)")
    _add_workers(keeping)
    _add_threads(keeping)
    _add_device(keeping)
    _add_tf32(keeping)


def _add_evaluate(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="judge a trained network by test pictures",
        description="Print the top-1 and top-5 error, the loss and the speed of a trained network on test pictures.",
    )
    parser.set_defaults(handler=_evaluate)
    _add_checkpoint(parser)
    parser.add_argument("--data", required=True, metavar="DATA", help="cifar10, shapes or a folder of test pictures")
    _add_data_dir(parser)
    parser.add_argument("--ten-crop", action="store_true", help="average over ten crops of each picture, as the paper")
    parser.add_argument("--limit", type=_positive, metavar="N", help="use so many pictures only")
    parser.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    _add_workers(parser)
    _add_threads(parser)
    _add_device(parser)
    _add_tf32(parser)


def _add_predict(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "predict",
        help="ask a trained network what is in a picture",
        description="Print the five classes that a trained network holds most likely for each picture.",
    )
    parser.set_defaults(handler=_predict)
    _add_checkpoint(parser)
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="JPEG, PNG or WebP files")
    parser.add_argument("--ten-crop", action="store_true", help="average over ten crops of each picture")
    parser.add_argument("--out", type=_picture, metavar="FILE", help="draw them, too: .png, .svg or .pdf")
    _add_threads(parser)
    _add_device(parser)
    _add_tf32(parser)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="what train or import-torchvision wrote")


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where CIFAR-10 is or shall be downloaded to")


def _add_workers(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--workers", type=_not_negative, metavar="N", help="threads that read ahead (default: 2 for a folder, else 0)"
    )


def _add_summary(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "summary",
        help="each layer's output shape, how it comes about, and what it costs",
        description="Follow a picture's shape through a network, before any array exists: each layer's output with "
        "the arithmetic that gives it, parameters, multiply-accumulates, memory; and a warning where a stride does "
        "not divide.",
    )
    parser.set_defaults(handler=_summary)
    _add_network(parser)
    parser.add_argument("--batch", type=_positive, default=1, metavar="N", help="pictures at a time (default 1)")
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")


def _add_draw(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "draw",
        help="draw a network as boxes to scale, its towers apart",
        description="Draw the arrays between a network's layers as boxes to scale, as in Figure 2 of the AlexNet "
        "paper: AlexNet's two towers apart, and where one reads the other.",
    )
    parser.set_defaults(handler=_draw)
    _add_network(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture: .svg, .png or .pdf")


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", choices=NETWORKS, help=f"which network: {', '.join(NETWORKS)}")
    parser.add_argument("--variant", choices=VARIANTS, help="of alexnet (default paper)")
    parser.add_argument("--in-size", type=_positive, metavar="N", help="height and width of the pictures")


def _add_import_torchvision(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "import-torchvision",
        help="make a checkpoint of torchvision's AlexNet from a file of its weights",
        description="Make a checkpoint of torchvision's AlexNet from a file of its weights. A .pth file is a program; "
        "nothing in it is run, and one that asks for anything but tensors is refused.",
    )
    parser.set_defaults(handler=_import_torchvision)
    parser.add_argument("file", type=Path, metavar="FILE", help="the weights: .pth or .safetensors")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="the names of the classes, one a line, in UTF-8")
    _add_out_file(parser, "the checkpoint, .safetensors")


def _add_export_onnx(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "export-onnx",
        help="write a checkpoint's network as an ONNX file, which other programs can run",
        description="Write a checkpoint's network as an ONNX file, which other programs can run. Needs the extra onnx.",
    )
    parser.set_defaults(handler=_export_onnx)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="what train or import-torchvision wrote")
    _add_out_file(parser, "the ONNX file")


def _add_out_file(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="replace it if it exists")


def _add_show(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "show",
        help="pictures of a trained network: filters, feature maps, saliency, confusion",
        description="Draw what a trained network has learnt, and what it sees in a picture.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="what train or import-torchvision wrote")
    kinds = parser.add_subparsers(metavar="WHAT", required=True)

    filters = kinds.add_parser("filters", help="the filters of the first layer, the towers apart")
    features = kinds.add_parser("features", help="what every layer makes of a picture")
    saliency = kinds.add_parser("saliency", help="which parts of a picture a decision hangs on")
    confusion = kinds.add_parser("confusion", help="which classes are taken for which")
    for kind, handler in (
        (filters, _show_filters),
        (features, _show_features),
        (saliency, _show_saliency),
        (confusion, _show_confusion),
    ):
        kind.set_defaults(handler=handler)
        kind.add_argument("--out", type=_picture, required=True, metavar="FILE", help="the picture: .png, .svg or .pdf")
    for kind in (features, saliency):
        kind.add_argument("image", type=Path, metavar="IMAGE", help="a JPEG, PNG or WebP file")
    features.add_argument("--maps", type=_positive, default=16, metavar="N", help="maps of each layer (default 16)")
    saliency.add_argument("--class", dest="target", metavar="NAME", help="what speaks for it (default the likeliest)")
    confusion.add_argument("--data", required=True, metavar="DATA", help="cifar10, shapes or a folder of test pictures")
    confusion.add_argument("--data-dir", type=Path, metavar="DIR", help="where CIFAR-10 is or shall be downloaded to")
    confusion.add_argument("--limit", type=_positive, metavar="N", help="use so many pictures only")
    for kind in (features, saliency, confusion):
        _add_threads(kind)


def _add_walk(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "walk",
        help="a page on which a picture walks through a trained network, and the gradient back",
        description="Write one HTML file on which a picture goes through a trained network, operation by operation, "
        "and the gradient of the loss comes back. It needs no other file and no network.",
    )
    parser.set_defaults(handler=_walk)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="what train or import-torchvision wrote")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a JPEG, PNG or WebP file")
    parser.add_argument("--class", dest="target", metavar="NAME", help="what it shows (default the likeliest)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, .html")
    _add_threads(parser)


def _add_ilsvrc(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "ilsvrc",
        help="draw the winners of the ImageNet challenge by year",
        description="Draw the top-5 error of the ImageNet challenge's winners by year, AlexNet marked.",
    )
    parser.set_defaults(handler=_ilsvrc)
    parser.add_argument("--out", type=_picture, required=True, metavar="FILE", help="the picture: .png, .svg or .pdf")


def _add_contributions(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "contributions",
        help="train AlexNet's recipe with everything on, and with one thing off at a time",
        description="Train alexnet-cifar with everything on, and without its depth, ReLU, dropout, LRN, augmentation "
        "or overlapping pools, one at a time: what is each worth? Writes a picture, a table and a summary. Ctrl-C "
        "saves and leaves; --resume goes on, bit for bit.",
    )
    parser.set_defaults(handler=_contributions)
    parser.add_argument("--data", choices=("cifar10", "shapes"), help="pictures to learn (default cifar10)")
    _add_data_dir(parser)
    parser.add_argument(
        "--seeds", type=_whole_numbers, metavar="0,1,2", help="a run for each, for each variant (default 0,1,2)"
    )
    parser.add_argument(
        "--epochs", type=_positive, metavar="N", help="length of each run (default: cifar10 24, shapes 12)"
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="use so many pictures only (default: cifar10 10000, shapes 2000)"
    )
    parser.add_argument(
        "--target-error", type=float, metavar="E", help="count the epochs to this training error (default 0.5)"
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAMES",
        help="some of depth,relu,dropout,lrn,augmentation,overlapping (default all)",
    )
    parser.add_argument("--lr-relu", type=float, metavar="LR", help="learning rate (default: chosen by short runs)")
    parser.add_argument("--lr-tanh", type=float, metavar="LR", help="learning rate of tanh (default: likewise)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results (default contributions/DATA)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what is in the folder; what is not given is as it was there"
    )
    _add_threads(parser)
    _add_device(parser)
    _add_tf32(parser)


def _add_lessons(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "lessons",
        help="copy the lessons' notebooks into a folder, or see which exercises are done",
        description="Copy the lessons, Jupyter notebooks with exercises, into a folder. Files that are there already "
        "are left alone. With --progress, run the exercises in the folder and print which are done.",
    )
    parser.set_defaults(handler=_lessons)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("lessons"), metavar="DIR", help="the folder (default lessons)"
    )
    parser.add_argument("--progress", action="store_true", help="copy nothing; say which exercises are done")


def _add_doctor(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="what minicnn has on this machine, what is wrong, and how to mend it",
        description="Print what minicnn computes with on this machine, what is wrong, and how to mend it. The exit "
        "status is 1 if training would fail.",
    )
    parser.set_defaults(handler=_doctor)


def _add_threads(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--threads", type=_positive, metavar="N", help="cores to use (default all)")


def _add_device(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--device", type=_device_name, metavar="D", help="cpu, cuda or cuda:0, cuda:1 ... (default cpu)"
    )


def _add_tf32(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--tf32", action="store_true", help="let a GPU round the factors of its products to 10 binary digits"
    )


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers with commas, such as 0,1,2; got {text!r}") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _not_negative(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _device_name(text: str) -> str:
    kind, colon, number = text.partition(":")
    if text not in ("cpu", "cuda") and not (kind == "cuda" and colon and number.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected cpu, cuda or cuda:N, got {text!r}")
    return text


def _picture(text: str) -> Path:
    if Path(text).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"expected a name that ends in .png, .svg or .pdf, got {text!r}")
    return Path(text)


def _use_threads(options: argparse.Namespace) -> None:
    if options.threads is not None:
        from minicnn import set_num_threads

        set_num_threads(options.threads)


def _use_device(options: argparse.Namespace) -> None:
    from minicnn import set_default_device, set_tf32

    if options.device is not None:
        set_default_device(options.device)
    if options.tf32:
        set_tf32(True)
    if options.device not in (None, "cpu"):
        from minicnn.training.environment import machine

        here = machine()
        rounding = "TF32" if here["tf32"] else "float32"
        print(f"On {here['device']}: {here['gpu']}, CUDA {here['cuda']}, CuPy {here['cupy']}, {rounding} products")


def _relu_vs_tanh(options: argparse.Namespace) -> int:
    from minicnn.experiments import relu_vs_tanh

    _use_threads(options)
    _use_device(options)
    used = ("handler", "threads", "device", "tf32")
    relu_vs_tanh.run(**{name: value for name, value in vars(options).items() if name not in used})
    return 0


def _gradcheck(options: argparse.Namespace) -> int:
    from tqdm.auto import tqdm

    from minicnn import checks

    _use_threads(options)
    with tqdm(unit=" checks", leave=False, disable=not sys.stderr.isatty()) as bar:
        rows = checks.check_operations(lambda row: bar.update(), options.device or "cpu")
    print(checks.format_table(rows))
    return 0 if all(row.ok for row in rows) else 1


def _warmup(options: argparse.Namespace) -> int:
    from minicnn import kernels

    if kernels.current() == "numpy":
        print("Numba is not installed: the NumPy kernels need no compiling")
        return 0
    from tqdm.auto import tqdm

    with tqdm(unit=" kernels", disable=not sys.stderr.isatty()) as bar:

        def show(name: str, number: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        kernels.warmup(show)
    print("Every kernel is compiled")
    return 0


def _train(options: argparse.Namespace) -> int:
    from minicnn.training import trainer
    from minicnn.viz import save_figure
    from minicnn.viz.training_log import draw_log

    _use_device(options)
    given = vars(options)
    switches = "variant activation lrn dropout overlapping groups depth init in_size num_classes".split()
    settings = "epochs inputs augment colour padding validation limit batch_size lr momentum weight_decay sgd schedule "
    settings += "patience lr_drops seed"
    others = "out resume data_dir skip_bad cache workers threads device checkpoint_minutes keep".split()
    trainer.run(
        options.network,
        options.data,
        {name: given[name] for name in switches},
        {name: given[name] for name in settings.split()},
        **{name: given[name] for name in others},
        draw=lambda rows, path: save_figure(draw_log(rows), path),
    )
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from minicnn.training.inference import evaluate_checkpoint

    _use_threads(options)
    _use_device(options)
    evaluate_checkpoint(
        options.checkpoint,
        options.data,
        data_dir=options.data_dir,
        ten_crop=options.ten_crop,
        limit=options.limit,
        skip_bad=options.skip_bad,
        workers=options.workers,
        json_file=options.json,
    )
    return 0


def _predict(options: argparse.Namespace) -> int:
    from minicnn.training.inference import predict_images
    from minicnn.viz import draw_predictions, save_figure

    def draw(pictures: Any, classes: Any, likely: Any, captions: Any) -> None:
        save_figure(draw_predictions(pictures, classes, likely, captions=captions), options.out)

    _use_threads(options)
    _use_device(options)
    predict_images(
        options.checkpoint, options.images, ten_crop=options.ten_crop, draw=None if options.out is None else draw
    )
    return 0


def _config(options: argparse.Namespace) -> dict[str, Any]:
    config = {"model": options.network.replace("-", "_"), "variant": options.variant, "in_size": options.in_size}
    return {name: value for name, value in config.items() if value is not None}


def _summary(options: argparse.Namespace) -> int:
    from minicnn.summary import summary_of_config

    try:
        found = summary_of_config(_config(options), options.batch)
    except ValueError as error:
        return _fail(str(error))
    print(found.to_csv() if options.csv else found, end="" if options.csv else "\n")
    return 0


def _draw(options: argparse.Namespace) -> int:
    from minicnn.summary import summary_of_config
    from minicnn.viz import save_figure

    try:
        save_figure(summary_of_config(_config(options)).draw(), options.out)
    except ValueError as error:
        return _fail(str(error))
    print(options.out)
    return 0


def _import_torchvision(options: argparse.Namespace) -> int:
    from minicnn.models.torch_files import WeightsError
    from minicnn.training.import_export import import_torchvision

    try:
        classes = None if options.classes is None else options.classes.read_text(encoding="utf-8").splitlines()
        import_torchvision(options.file, options.out, classes, options.force)
    except (WeightsError, UnicodeDecodeError) as error:
        return _fail(str(error))
    print(options.out)
    return 0


def _export_onnx(options: argparse.Namespace) -> int:
    from minicnn.models.onnx_export import ExportError
    from minicnn.training.import_export import export_onnx

    try:
        shape = export_onnx(options.checkpoint, options.out, options.force)
    except ExportError as error:
        return _fail(str(error))
    print(f"{options.out}: takes pictures (N, {', '.join(map(str, shape))}) in grey levels of 0 to 255, gives scores")
    return 0


def _show_filters(options: argparse.Namespace) -> int:
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_filters

    try:
        save_figure(show_filters(load_model(options.checkpoint)), options.out)
    except ValueError as error:
        return _fail(str(error))
    print(options.out)
    return 0


def _show_features(options: argparse.Namespace) -> int:
    from minicnn.data import load_image
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_features

    _use_threads(options)
    saved = load_model(options.checkpoint)
    try:
        save_figure(show_features(saved, load_image(options.image, saved.preparation.size), options.maps), options.out)
    except ValueError as error:
        return _fail(str(error))
    print(options.out)
    return 0


def _show_saliency(options: argparse.Namespace) -> int:
    from minicnn.data import load_image
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_saliency

    _use_threads(options)
    saved = load_model(options.checkpoint)
    picture = load_image(options.image, saved.preparation.size)
    save_figure(show_saliency(saved, picture, _target(options, saved.classes)), options.out)
    print(options.out)
    return 0


def _target(options: argparse.Namespace, classes: Sequence[str]) -> int | None:
    """Return the number of the class that --class names."""
    from minicnn.training import CheckpointError

    if options.target is None:
        return None
    if options.target not in classes:
        raise CheckpointError(f"--class must be one of {', '.join(classes)}; got {options.target!r}")
    return list(classes).index(options.target)


def _show_confusion(options: argparse.Namespace) -> int:
    from minicnn.data.sources import load_test
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_confusion

    _use_threads(options)
    saved = load_model(options.checkpoint)
    test = load_test(
        options.data, saved.preparation.size, saved.classes, data_dir=options.data_dir, limit=options.limit
    )
    save_figure(show_confusion(saved, test.images, test.labels), options.out)
    print(options.out)
    return 0


def _walk(options: argparse.Namespace) -> int:
    from minicnn.data import load_image
    from minicnn.training import load_model, write_atomically
    from minicnn.viz import walk_html

    _use_threads(options)
    saved = load_model(options.checkpoint)
    picture = load_image(options.image, saved.preparation.size)
    write_atomically(options.out, walk_html(saved, picture, _target(options, saved.classes)))
    print(options.out)
    return 0


def _ilsvrc(options: argparse.Namespace) -> int:
    from minicnn.experiments.ilsvrc import draw_winners
    from minicnn.viz import save_figure

    save_figure(draw_winners(), options.out)
    print(options.out)
    return 0


def _contributions(options: argparse.Namespace) -> int:
    from minicnn.experiments import contributions

    _use_device(options)
    used = ("handler", "device", "tf32")
    contributions.run(**{name: value for name, value in vars(options).items() if name not in used})
    return 0


def _lessons(options: argparse.Namespace) -> int:
    from minicnn.lessons.notebooks import copy_lessons, how_to_open, missing, progress

    if options.progress:
        lessons = progress(options.folder)
        print(*lessons, sep="\n\n")
        done, total = (sum(counts) for counts in zip(*((each.done, len(each.states)) for each in lessons), strict=True))
        print(f"\n{done} of {total} exercises are done")
        if absent := [name[:2] for name in missing(options.folder)]:
            print(f"Not in this folder: {', '.join(absent)}; 'minicnn lessons {options.folder}' copies what is missing")
        return 0
    for name, copied in copy_lessons(options.folder).items():
        print(options.folder / name if copied else f"{options.folder / name} is there already, and stays as it is")
    print(how_to_open(options.folder))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from minicnn.doctor import examine

    report = examine()
    print(report)
    return 0 if report.can_train else 1
