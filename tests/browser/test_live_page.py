"""The live page in a real browser: drawn on by pointer events, and compared with minicnn itself."""

import base64
import io
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import Tensor, cli, models, no_grad
from minicnn.data import Preparation, load_shapes
from minicnn.training import save_model
from minicnn.training.checkpoint import SavedModel, load_model
from minicnn.viz import gradient_saliency
from minicnn.viz.onnx_runtime import SCRIPT, RuntimeScriptError, runtime_script

pytestmark = pytest.mark.slow

WIDE, NARROW = (1300, 900), (360, 740)
DRAWINGS = json.loads((Path(__file__).parent / "drawings.json").read_text(encoding="utf-8"))["drawings"]
STAR = [[0.2, 0.9], [0.5, 0.1], [0.8, 0.9], [0.1, 0.4], [0.9, 0.4], [0.2, 0.9]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with two towers that has learnt nothing, but whose answer depends on the image."""
    minicnn.manual_seed(0)
    network = models.build({"model": "alexnet_cifar", "groups": 2})
    for parameter in network.parameters():
        if parameter.ndim > 1:
            minicnn.nn.init.kaiming_normal_(parameter)
    shapes = load_shapes(train=100, test=1)
    path = tmp_path_factory.mktemp("live") / "best.safetensors"
    save_model(path, network, Preparation.fit(shapes.train_images, crop=28), shapes.classes)
    return path


@pytest.fixture(scope="module")
def saved(checkpoint: Path) -> SavedModel:
    return load_model(checkpoint)


@pytest.fixture(scope="module")
def file(checkpoint: Path) -> Path:
    pytest.importorskip("onnx")
    try:
        runtime_script()
    except RuntimeScriptError as error:
        pytest.skip(str(error))
    file = checkpoint.with_name("live.html")
    assert cli.main(["live", str(checkpoint), "--out", str(file)]) in (None, 0)
    return file


@pytest.fixture
def page(visit: Any, file: Path) -> Any:
    page = visit(file)
    until_ready(page)
    return page


def until(page: Any, condition: Any, seconds: float = 20) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page.driver, seconds, poll_frequency=0.02).until(lambda _: condition())


def until_ready(page: Any) -> None:
    until(page, lambda: " agree " in page.text("#agrees") and page.text("#took").startswith("Of the reference image"))


def draw(page: Any, strokes: Sequence[Sequence[Sequence[float]]], kind: str = "mouse") -> None:
    """Draw with a mouse or a finger, and wait for the answer to what is then on the pad."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    page.run("document.querySelector('#pad').scrollIntoView({block: 'center', behavior: 'instant'})")
    pad = page.one("#pad")
    chain = ActionChains(page.driver, duration=0, devices=[PointerInput(kind, kind)])
    hand = chain.w3c_actions.pointer_action
    width, height = pad.size["width"], pad.size["height"]
    for stroke in strokes:
        places = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in stroke]
        hand.move_to(pad, *places[0]).pointer_down()
        for place in places[1:]:
            hand.move_to(pad, *place)
        hand.pointer_up()
    chain.perform()
    idle(page)


def idle(page: Any) -> None:
    """Wait until the page shows what is on the pad."""
    until(page, lambda: page.one("#live").get_attribute("data-busy") == "false")


def levels(page: Any) -> np.ndarray:
    """What the page shows as given to the network: (3, size, size) grey levels."""
    pixels = page.run(
        "const c = document.getElementById('seen');"
        "return [c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    return np.array(pixels[1], np.uint8).reshape(pixels[0], pixels[0], 4)[..., :3].transpose(2, 0, 1)


def own_answer(saved: SavedModel, seen: np.ndarray) -> tuple[np.ndarray, minicnn.tracing.Trace]:
    """What minicnn computes of the same grey levels: its scores, and the trace."""
    preparation = saved.preparation
    prepared = (seen.astype(np.float32) - preparation.mean) / preparation.deviation
    with minicnn.trace() as trace, no_grad():
        scores = saved.network.eval()(Tensor(prepared[None]))
    return scores.numpy()[0], trace


def as_number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def likely(page: Any) -> tuple[str, float]:
    name, share = page.text("#answer li").splitlines()
    return name, float(share.removesuffix(" %"))


def test_it_begins_with_minicnns_own_maps_and_agrees_with_them(page: Any, saved: SavedModel) -> None:
    found = re.fullmatch(r"minicnn’s own .* agree in all (\d+) arrays, to (\S+)\.", page.text("#agrees"))
    assert found and int(found[1]) == 22 and as_number(found[2]) < 2e-5
    page.one("#agrees").click()
    rows = [row.text.split() for row in page.all("#differences tr")]
    assert len(rows) == 22 and rows[0][:2] == ["conv1", "37,632"]
    assert [row[:2] for row in rows[-2:]] == [["fc8", "10"], ["saliency", "784"]]
    assert all(as_number(apart) < 2e-5 for _, _, apart in rows)
    assert len(page.all(".box")) == 21 and page.text(".box.now") == "conv1"
    assert page.status() == "Step 1 of 21, forward: conv1: Conv2d (direct)"


def test_where_they_do_not_agree_it_says_so(visit: Any, file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    own = data["live"]["layers"]["4"]
    numbers = np.frombuffer(base64.b64decode(own["own"]), "<f4").copy()
    numbers[7] += 0.01 * np.abs(numbers).max()
    (tmp_path / "live.html").write_text(
        text.replace(own["own"], base64.b64encode(numbers.tobytes()).decode()), encoding="utf-8"
    )
    shutil.copy(file.with_name(SCRIPT), tmp_path)
    page = visit(tmp_path / "live.html")
    until(page, lambda: "Loading" not in page.text("#agrees"))
    assert page.text("#agrees") == "minicnn and this page do not agree in conv2."
    page.one("#agrees").click()
    assert [row.text for row in page.all("#differences .apart")] == ["conv2 18,816 1.0e−2"]


@pytest.mark.parametrize(("size", "kind"), [(WIDE, "mouse"), (NARROW, "touch")], ids=["wide", "narrow"])
def test_scores_maps_and_a_unit_change_as_one_draws(
    page: Any, saved: SavedModel, size: tuple[int, int], kind: str
) -> None:
    page.open(size, "#step5")  # conv2
    until_ready(page)
    before = [page.run("return [...document.querySelectorAll('.step.now .sheet[data-maps] img')].map(i => i.src)")]
    unit = page.run("return JSON.parse(document.getElementById('data').textContent).records[4].channels[3]")
    page.choose("#map", unit)
    page.choose("#at-row", 6)
    page.choose("#at-column", 7)
    for strokes in ([STAR], [[[0.3, 0.3], [0.7, 0.7]]]):
        draw(page, strokes, kind)
        seen = levels(page)
        assert seen.shape == (3, 28, 28) and len(set(seen.ravel().tolist())) > 4
        scores, trace = own_answer(saved, seen)
        shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        name, share = likely(page)
        assert name == saved.classes[scores.argmax()] and share == pytest.approx(100 * shares.max(), abs=0.11)
        y = trace.records[4].output[0, unit, 6, 7]
        assert as_number(page.text("#values").split("y = ")[1]) == pytest.approx(y, rel=2e-3, abs=1e-4)
        total, bias, again = map(
            as_number, re.search(r"add up to (\S+); with b = (\S+) that is y = (\S+)\.", page.text("#sum")).groups()
        )
        assert again == pytest.approx(y, rel=2e-3, abs=1e-4) and total + bias == pytest.approx(again, abs=2e-3)
        before.append(
            page.run("return [...document.querySelectorAll('.step.now .sheet[data-maps] img')].map(i => i.src)")
        )
        assert page.text("#took").startswith("Of your drawing, in ")
    assert len({sources[0] for sources in before}) == len({sources[-1] for sources in before}) == 3
    page.one("#next").click()  # the next card has the drawing's maps, too
    drawn = "return document.querySelector('.step.now figure:last-child .sheet img, .step.now .sheet img').src"
    first = page.run(drawn)
    page.run("document.getElementById('reference').click()")
    idle(page)
    assert page.run(drawn) != first and page.text("#took").startswith("Of the reference image")


def test_the_gradient_is_minicnns(page: Any, saved: SavedModel) -> None:
    """The backward pass runs in the page, too."""
    draw(page, [STAR])
    seen = levels(page)
    scores, _ = own_answer(saved, seen)
    prepared = (seen.astype(np.float32) - saved.preparation.mean) / saved.preparation.deviation
    expected = gradient_saliency(saved.network, prepared, int(scores.argmax()))
    assert page.text("#saliency-class") == saved.classes[scores.argmax()] == likely(page)[0]
    shown = page.run(
        "const c = document.getElementById('saliency');"
        "return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    )
    grey = np.array(shown).reshape(28, 28, 4)[..., 0]
    strong = np.sort(expected.ravel())[int(0.995 * (expected.size - 1))]
    np.testing.assert_allclose(grey / 255, np.minimum(1, expected / strong), atol=0.004)


def test_the_maps_are_drawn_to_the_scale_that_stands_below_them(page: Any, saved: SavedModel) -> None:
    page.open(address="#step6")  # relu2: what goes in has both signs, what comes out has not
    until_ready(page)
    draw(page, [STAR])
    _, trace = own_answer(saved, levels(page))
    before, after = page.all(".step.now figure")
    channels = page.run("return JSON.parse(document.getElementById('data').textContent).records[5].channels")
    largest = float(np.abs(trace.records[4].output[0, channels]).max())
    found = re.search(r"blue (\S+), white 0, red (\S+)", before.text)
    assert found and -as_number(found[1]) == as_number(found[2]) == pytest.approx(largest, rel=1e-3)
    found = re.search(r"black 0, white (\S+)", after.text)
    assert found and as_number(found[1]) == pytest.approx(trace.records[5].output[0, channels].max(), rel=1e-3)
    source = page.run("return arguments[0].querySelector('img').src", after)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGBA"))
    place = json.loads(after.find_element("css selector", ".sheet").get_attribute("data-maps"))
    assert pixels[: place["height"], place["width"], 3].max() == 0  # the gap between two maps
    shown = trace.records[5].output[0, place["channels"][0]] / trace.records[5].output[0, channels].max()
    np.testing.assert_allclose(pixels[: place["height"], : place["width"], 0] / 255, shown, atol=0.004)


def dropped(page: Any, content: bytes, name: str) -> None:
    page.run(
        "const bytes = Uint8Array.from(atob(arguments[0]), letter => letter.charCodeAt(0));"
        "const transfer = new DataTransfer(); transfer.items.add(new File([bytes], arguments[1]));"
        "document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: transfer}))",
        base64.b64encode(content).decode(),
        name,
    )


def test_an_image_is_dropped_and_what_is_none_is_refused(page: Any, saved: SavedModel) -> None:
    image = np.zeros((60, 100, 3), np.uint8)  # its middle is used
    image[:30, :50], image[:30, 50:], image[30:, :50] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    dropped(page, buffer.getvalue(), "four.png")
    until(page, lambda: page.text("#took").startswith("Of four.png"))
    idle(page)
    seen = levels(page)
    assert [seen[:, row, column].tolist() for row, column in ((5, 5), (5, 22), (22, 5), (22, 22))] == [
        [250, 0, 0],
        [0, 250, 0],
        [0, 0, 250],
        [0, 0, 0],
    ]
    assert likely(page)[0] == saved.classes[own_answer(saved, seen)[0].argmax()]
    dropped(page, b"words", "words.txt")
    until(page, lambda: page.text("#took") == "words.txt is not an image that this browser can read.")
    draw(page, [STAR])  # on an empty pad
    assert levels(page)[:, 0, 0].tolist() == [28, 28, 28]


def test_the_camera_is_seen_until_it_is_switched_off(page: Any) -> None:
    camera = page.one("#camera")
    camera.click()
    until(page, lambda: page.text("#took").startswith("Of the camera"))
    first = levels(page)
    assert camera.get_attribute("aria-pressed") == "true" and first.std() > 5
    until(page, lambda: bool((levels(page) != first).any()))
    camera.click()
    idle(page)
    assert camera.get_attribute("aria-pressed") == "false"
    last = levels(page)
    draw(page, [STAR])  # which begins with an empty pad
    assert (levels(page) != last).mean() > 0.5


def test_strokes_are_added_until_the_pad_is_cleared(page: Any) -> None:
    draw(page, [STAR])
    draw(page, [[[0.05, 0.05], [0.95, 0.05]]])  # added to the star
    both = levels(page)
    assert both[0, 1].mean() > 150 and both[0, 14].max() > 200
    page.one("#clear").click()
    idle(page)
    assert set(levels(page).ravel().tolist()) == {28}


def test_without_the_script_it_says_what_is_missing_and_can_be_walked_through(
    browser: Any, file: Path, tmp_path: Path
) -> None:
    from tests.browser.conftest import Page

    shutil.copy(file, tmp_path)
    page = Page(browser, tmp_path / "live.html")
    page.open()
    until(page, lambda: "Loading" not in page.text("#agrees"))
    assert page.text("#agrees") == (
        f"The network cannot run in this page: {SCRIPT} is missing: it belongs in the folder of this page"
    )
    page.one("#next").click()
    assert page.status().startswith("Step 2 of 21")
    browser.get_log("browser")  # a file that is not there is an error in it


@pytest.mark.parametrize("size", [WIDE, NARROW, (820, 1100), (1700, 1000)], ids=["wide", "narrow", "tablet", "large"])
def test_nothing_sticks_out(page: Any, size: tuple[int, int]) -> None:
    page.open(size)
    for number in (0, 8, 20):
        page.run("document.querySelectorAll('.box')[arguments[0]].click()", number)
        wide = page.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1] == size[0]
    pad = page.one("#pad").rect
    assert 190 < pad["width"] <= 300 and pad["width"] == pytest.approx(pad["height"], abs=1)
    assert pad["x"] >= 0 and pad["x"] + pad["width"] <= size[0]
    buttons = [button for button in page.all("#live .buttons button") if button.is_displayed()]
    assert len(buttons) == 4 and all(button.size["height"] >= 24 for button in buttons)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_documentations_network_is_right_on_what_people_draw(site: Path, visit: Any, size: tuple[int, int]) -> None:
    if not (site / "walks" / SCRIPT).exists():
        pytest.skip("the documentation was built without a connection to npm's registry")
    page = visit(site / "walks" / "live.html")
    page.open(size)
    until_ready(page)
    assert sorted({drawing["class"] for drawing in DRAWINGS}) == ["cross", "ring", "square", "star", "triangle"]
    wrong = []
    for drawing in DRAWINGS:
        page.one("#clear").click()
        draw(page, drawing["strokes"], "touch" if size == NARROW else "mouse")
        if likely(page)[0] != drawing["class"]:
            wrong.append(f"{drawing['how']} {drawing['class']}: {likely(page)}")
    assert len(DRAWINGS) == 25 and len(wrong) <= 3, wrong
