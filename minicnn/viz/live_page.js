"use strict";
(() => {
  const { data, put, look, short, colour, card } = walk;
  const { live } = data;
  const { size } = live;
  const find = (id) => document.getElementById(id);
  const pad = find("pad");
  const seen = find("seen");
  const times = Math.max(1, Math.ceil(320 / size)); // pixels of the pad for one of the network's, in each direction
  pad.width = pad.height = size * times;
  seen.width = seen.height = size;
  const paper = pad.getContext("2d", { willReadFrequently: true });
  const rgb = (levels) => `rgb(${levels.join(" ")})`;

  // From base64, a piece at a time: AlexNet's weights have 325 million letters.
  function bytes(text) {
    const found = new Uint8Array((text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0));
    const piece = 1 << 20;
    for (let start = 0, place = 0; start < text.length; start += piece) {
      const letters = atob(text.slice(start, start + piece));
      for (let k = 0; k < letters.length; k++) found[place++] = letters.charCodeAt(k);
    }
    return found;
  }

  // --- what the network is given -----------------------------------------------------------------------------------

  let drawn = false; // whether the pad has a drawing, to which a stroke is added
  let pen = null; // {id, x, y} while it is down
  let camera = null; // {stream, video} while it is on

  function clear() {
    paper.fillStyle = rgb(live.ground);
    paper.fillRect(0, 0, pad.width, pad.height);
  }

  function putReference() {
    const pixels = bytes(live.pixels);
    const image = paper.createImageData(pad.width, pad.height);
    for (let y = 0; y < pad.height; y++) {
      for (let x = 0; x < pad.width; x++) {
        const from = 3 * (Math.floor(y / times) * size + Math.floor(x / times));
        image.data.set([pixels[from], pixels[from + 1], pixels[from + 2], 255], 4 * (y * pad.width + x));
      }
    }
    paper.putImageData(image, 0, 0);
  }

  // As minicnn prepares an image: its middle, as large a part of it as the network is trained on.
  function putImage(source, width, height) {
    const side = Math.min(width, height) * live.part;
    paper.imageSmoothingQuality = "high";
    clear();
    paper.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, pad.width, pad.height);
  }

  // The mean of each square of the pad, in whole grey levels: (3, size, size).
  function given() {
    const { data: levels } = paper.getImageData(0, 0, pad.width, pad.height);
    const sums = new Float32Array(3 * size * size);
    for (let y = 0, from = 0; y < pad.height; y++) {
      for (let x = 0; x < pad.width; x++, from += 4) {
        const place = Math.floor(y / times) * size + Math.floor(x / times);
        for (let c = 0; c < 3; c++) sums[c * size * size + place] += levels[from + c];
      }
    }
    return sums.map((sum) => Math.round(sum / (times * times)));
  }

  // --- drawing, images, the camera ---------------------------------------------------------------------------------

  function at(event) {
    const area = pad.getBoundingClientRect();
    return {
      x: ((event.clientX - area.left) / area.width) * pad.width,
      y: ((event.clientY - area.top) / area.height) * pad.height,
    };
  }

  function lineTo({ x, y }) {
    paper.strokeStyle = rgb(live.ink);
    paper.lineWidth = live.pen * pad.width;
    paper.lineCap = paper.lineJoin = "round";
    paper.beginPath();
    paper.moveTo(pen.x, pen.y);
    paper.lineTo(x, y);
    paper.stroke();
    Object.assign(pen, { x, y });
  }

  pad.addEventListener("pointerdown", (event) => {
    if (pen || event.button !== 0) return;
    event.preventDefault();
    stopCamera();
    if (!drawn) clear();
    drawn = true;
    pen = { id: event.pointerId, ...at(event) };
    pad.setPointerCapture(event.pointerId);
    lineTo(pen);
    ask("your drawing");
  });
  pad.addEventListener("pointermove", (event) => {
    if (pen?.id !== event.pointerId) return;
    const all = event.getCoalescedEvents?.() ?? [];
    (all.length ? all : [event]).forEach((each) => lineTo(at(each)));
    ask("your drawing");
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, (event) => {
      if (pen?.id === event.pointerId) pen = null;
      ask("your drawing");
    });
  }

  function ready() {
    drawn = false;
    pen = null;
    stopCamera();
  }

  find("clear").addEventListener("click", () => { ready(); clear(); drawn = true; ask("an empty pad"); });
  find("reference").addEventListener("click", () => { ready(); putReference(); ask("the reference image"); });
  find("open").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", () => { openImage(find("file").files[0]); find("file").value = ""; });

  async function openImage(file) {
    if (!file) return;
    ready();
    try {
      const image = await createImageBitmap(file);
      putImage(image, image.width, image.height);
      ask(file.name);
    } catch {
      find("took").textContent = `${file.name} is not an image that this browser can read.`;
    }
  }

  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.documentElement.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.documentElement.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.documentElement.classList.remove("dropping");
    openImage(event.dataTransfer.files[0]);
  });

  find("camera").addEventListener("click", async () => {
    if (camera) return stopCamera();
    ready();
    try {
      // Absent where the page came over http from another machine.
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
      camera = { stream, video };
      find("camera").setAttribute("aria-pressed", "true");
      await video.play();
      const frame = () => {
        if (camera?.video !== video) return;
        putImage(video, video.videoWidth, video.videoHeight);
        ask("the camera");
        requestAnimationFrame(frame);
      };
      frame();
    } catch (error) {
      stopCamera();
      find("took").textContent = `There is no camera to use here: ${error.message}`;
    }
  });

  function stopCamera() {
    camera?.stream.getTracks().forEach((track) => track.stop());
    camera = null;
    find("camera").setAttribute("aria-pressed", "false");
  }

  // --- what it computes --------------------------------------------------------------------------------------------

  let run = null; // an array of grey levels to {outputs by name, milliseconds}
  let wanted = null;
  let busy = false;
  const now = {}; // the numbers of each operation by its position, and "input"

  async function load() {
    if (!globalThis.ort) throw new Error(`${live.runtime} is missing: it belongs in the folder of this page`);
    const { loader, wasm } = ortFiles;
    const packed = new Blob([bytes(wasm)]).stream().pipeThrough(new DecompressionStream("gzip"));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await new Response(packed).arrayBuffer();
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([loader], { type: "text/javascript" })) };
    const session = await ort.InferenceSession.create(bytes(find("model").textContent), { executionProviders: ["wasm"] });
    return async (levels) => {
      const started = performance.now();
      const results = await session.run({ pictures: new ort.Tensor("float32", levels, [1, 3, size, size]) });
      const outputs = Object.fromEntries(Object.entries(results).map(([name, { data: values }]) => [name, values]));
      return { outputs, took: performance.now() - started };
    };
  }

  // Compute what the pad has now. While one computation runs, only the last request waits.
  async function ask(what) {
    wanted = what;
    if (busy || !run) return;
    busy = true;
    find("live").dataset.busy = true;
    while (wanted !== null) {
      await new Promise(requestAnimationFrame);
      const name = wanted;
      wanted = null;
      const levels = given();
      take(await run(levels), levels, name);
    }
    busy = false;
    find("live").dataset.busy = false;
  }

  function take({ outputs, took }, levels, name) {
    now.input = outputs.prepared;
    for (const [record, layer] of Object.entries(live.layers)) now[record] = outputs[layer.output];
    for (const [record, maps] of Object.entries(data.records)) {
      if (!maps) continue;
      const area = maps.shape[1] * maps.shape[2];
      const values = new Float32Array(maps.channels.length * area);
      maps.channels.forEach((channel, k) => {
        values.set(now[record].subarray(channel * area, (channel + 1) * area), k * area);
      });
      put(maps.values, values);
      if (maps.conv) put(maps.conv.x, now[live.layers[record].source]);
    }
    drawLevels(levels);
    answer(outputs.scores);
    drawSaliency(outputs.saliency);
    find("took").textContent = `Of ${name}, in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms.`;
    redraw();
    look();
  }

  function answer(scores) {
    const largest = Math.max(...scores);
    const weights = Array.from(scores, (score) => Math.exp(score - largest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const order = weights.map((_, k) => k).sort((a, b) => weights[b] - weights[a]);
    [...find("answer").children].forEach((row, place) => {
      const share = (100 * weights[order[place]]) / total;
      const [bar, label, number] = row.children;
      bar.style.width = `${share.toFixed(2)}%`;
      label.textContent = live.classes[order[place]];
      number.textContent = `${share.toFixed(1)} %`;
    });
    find("saliency-class").textContent = live.classes[order[0]];
    if (!pen && !camera) find("said").textContent = `The network’s answer: ${live.classes[order[0]]}`;
  }

  // --- the images of the card and the unit -------------------------------------------------------------------------

  const painter = document.createElement("canvas");

  function paint(wide, high, fill) {
    painter.width = wide;
    painter.height = high;
    const context = painter.getContext("2d");
    const image = context.createImageData(wide, high);
    fill(image.data);
    context.putImageData(image, 0, 0);
    return painter.toDataURL();
  }

  function drawLevels(levels) {
    const area = size * size;
    const url = paint(size, size, (pixels) => {
      for (let k = 0; k < area; k++) pixels.set([levels[k], levels[area + k], levels[2 * area + k], 255], 4 * k);
    });
    seen.getContext("2d", { willReadFrequently: true }).drawImage(painter, 0, 0);
    document.querySelector("#sees img").src = url;
  }

  // Absent if the graph has an operator without a rule for its gradient.
  function drawSaliency(strengths) {
    find("saliency-figure").hidden = !strengths;
    if (!strengths) return;
    // Scaled to the maximum, a few strong pixels would leave all others black.
    const strong = strengths.toSorted()[Math.floor(0.995 * (strengths.length - 1))] || Math.max(...strengths) || 1;
    paint(size, size, (pixels) => {
      strengths.forEach((strength, k) => {
        const grey = (255 * strength) / strong;
        pixels.set([grey, grey, grey, 255], 4 * k);
      });
    });
    const canvas = find("saliency");
    canvas.width = canvas.height = size;
    canvas.getContext("2d").drawImage(painter, 0, 0);
  }

  // As minicnn.viz.cards draws them: from black to white, or from blue to red if a number is negative.
  function redraw() {
    for (const group of card().querySelectorAll(".sheets[data-of]")) {
      const values = now[group.dataset.of];
      if (!values) continue;
      if (group.dataset.of === "input") {
        group.querySelector("img").src = picture(values);
        continue;
      }
      const sheets = [...group.querySelectorAll(".sheet")].map((sheet) => layOut(sheet, values));
      const shown = sheets.flatMap(({ parts }) => parts.map(([part]) => part));
      const largest = shown.reduce((most, part) => part.reduce((m, n) => Math.max(m, Math.abs(n)), most), 0);
      const signed = shown.some((part) => part.some((number) => number < 0));
      for (const { image, wide, high, parts } of sheets) {
        image.src = paint(wide, high, (pixels) => {
          for (const [part, across, top, left] of parts) {
            part.forEach((number, k) => {
              const share = number / (largest || 1);
              const grey = 255 * share;
              const place = (top + Math.floor(k / across)) * wide + left + (k % across);
              pixels.set(signed ? colour(share) : [grey, grey, grey, 255], 4 * place);
            });
          }
        });
      }
      group.parentElement.querySelector(".scale").textContent = !largest ? "all that is shown is zero"
        : signed ? `blue \u2212${short(largest)}, white 0, red ${short(largest)}` : `black 0, white ${short(largest)}`;
    }
  }

  // Where numbers lie on a sheet: [numbers, how many in a row, first row, first column] of each part.
  function layOut(sheet, values) {
    const image = sheet.querySelector("img");
    if (!sheet.dataset.maps) {
      const [wide, high] = [image.naturalWidth, image.naturalHeight];
      return { image, wide, high, parts: wide * high === values.length ? [[values, wide, 0, 0]] : [] };
    }
    const { columns, height, width, channels } = JSON.parse(sheet.dataset.maps);
    const area = height * width;
    const parts = channels.map((channel, k) => [values.subarray(channel * area, (channel + 1) * area), width,
      Math.floor(k / columns) * (height + 1), (k % columns) * (width + 1)]);
    return { image, wide: columns * (width + 1) - 1, high: Math.ceil(channels.length / columns) * (height + 1) - 1, parts };
  }

  function picture(values) {
    const [low, high] = values.reduce(([a, b], number) => [Math.min(a, number), Math.max(b, number)], [Infinity, -Infinity]);
    const area = size * size;
    return paint(size, size, (pixels) => {
      for (let k = 0; k < area; k++) {
        const level = (c) => (255 * (values[c * area + k] - low)) / (high - low || 1);
        pixels.set([level(0), level(1), level(2), 255], 4 * k);
      }
    });
  }

  document.addEventListener("step", redraw);

  // --- whether minicnn and the page agree --------------------------------------------------------------------------

  const ENOUGH = 1e-4; // float32, added up in another order

  function compare(outputs) {
    const own = Object.values(live.layers).map((layer) => [layer.name, layer.own, outputs[layer.output]]);
    if (outputs.saliency) own.push(["saliency", live.saliency, outputs.saliency]);
    const rows = own.map(([name, text, theirs]) => {
      const ours = new Float32Array(bytes(text).buffer);
      const largest = ours.reduce((most, number) => Math.max(most, Math.abs(number)), 0) || 1;
      const apart = ours.reduce((most, number, k) => Math.max(most, Math.abs(number - theirs[k])), 0) / largest;
      return { name, count: ours.length, apart: ours.length === theirs.length ? apart : Infinity };
    });
    find("differences").replaceChildren(...rows.map(({ name, count, apart }) => {
      const row = document.createElement("tr");
      [name, count.toLocaleString("en"), apart.toExponential(1).replace("-", "\u2212")].forEach((text) => {
        row.append(Object.assign(document.createElement("td"), { textContent: text }));
      });
      row.classList.toggle("apart", !(apart <= ENOUGH));
      return row;
    }));
    const wrong = rows.filter(({ apart }) => !(apart <= ENOUGH));
    const most = Math.max(...rows.map(({ apart }) => apart)).toExponential(1).replace("-", "\u2212");
    find("agrees").textContent = wrong.length === 0
      ? `minicnn’s own maps and scores and this page’s agree in all ${rows.length} arrays, to ${most}.`
      : `minicnn and this page do not agree in ${wrong.map(({ name }) => name).join(", ")}.`;
    find("agreement").classList.toggle("failed", wrong.length > 0);
    find("agreement").dataset.largest = most;
  }

  clear();
  putReference();
  const levels = given();
  drawLevels(levels);
  load().then(async (loaded) => {
    const first = await loaded(levels);
    compare(first.outputs);
    run = loaded;
    await ask("the reference image");
  }).catch((error) => {
    find("agreement").classList.add("failed");
    find("agrees").textContent = `The network cannot run in this page: ${error.message}`;
  });
})();
