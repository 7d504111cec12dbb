"use strict";
const walk = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".step")];
  const boxes = [...document.querySelectorAll(".box")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let now = 0;
  let timer = null;
  let unit = null; // {record, channel, row, column}

  // --- steps -------------------------------------------------------------------------------------------------------

  function show(number) {
    now = Math.max(0, Math.min(data.steps.length - 1, number));
    const step = data.steps[now];
    const way = step.backward ? "backward" : "forward";
    cards.forEach((card, index) => card.classList.toggle("now", index === now));
    boxes.forEach((box) => {
      const lit = Number(box.dataset.record) === step.record;
      box.classList.toggle("now", lit);
      if (lit) {
        box.setAttribute("aria-current", "step");
        const row = find("row");
        row.scrollLeft += box.getBoundingClientRect().left - row.getBoundingClientRect().left -
          (row.clientWidth - box.offsetWidth) / 2;
      } else {
        box.removeAttribute("aria-current");
      }
    });
    document.body.className = way;
    find("status").textContent = `Step ${now + 1} of ${data.steps.length}, ${way}: ${step.title}`;
    find("previous").disabled = now === 0;
    find("next").disabled = now === data.steps.length - 1;
    find("turn").disabled = otherWay() < 0;
    find("back").hidden = true;
    if (now === data.steps.length - 1) stop();
    try {
      history.replaceState(null, "", `#step${now + 1}`);
    } catch {
      // within another page there is no address to change
    }
    const maps = data.records[step.record];
    if (!maps) pick(null);
    else if (unit && unit.record === step.record) pick(unit);
    else pick(strongest(step.record));
    document.dispatchEvent(new Event("step"));
  }

  function otherWay() {
    const step = data.steps[now];
    return data.steps.findIndex((other) => other.record === step.record && other.backward !== step.backward);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    find("play").textContent = "Play";
    find("play").setAttribute("aria-pressed", "false");
  }

  function play() {
    if (timer !== null) return stop();
    if (now === data.steps.length - 1) show(0);
    timer = setInterval(() => show(now + 1), 1500);
    find("play").textContent = "Pause";
    find("play").setAttribute("aria-pressed", "true");
  }

  find("previous").addEventListener("click", () => { stop(); show(now - 1); });
  find("next").addEventListener("click", () => { stop(); show(now + 1); });
  find("play").addEventListener("click", play);
  find("turn").addEventListener("click", () => { stop(); if (otherWay() >= 0) show(otherWay()); });
  boxes.forEach((box) => box.addEventListener("click", () => {
    stop();
    const record = Number(box.dataset.record);
    const same = data.steps.findIndex((s) => s.record === record && s.backward === data.steps[now].backward);
    show(same >= 0 ? same : data.steps.findIndex((s) => s.record === record));
  }));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches?.("input, select, textarea")) return;
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: data.steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    stop();
    show(to);
  });

  // --- one unit ----------------------------------------------------------------------------------------------------

  const read = {};
  function numbers(place) {
    if (!(place in read)) {
      const { bytes, scale, data: text } = data.arrays[place];
      const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
      read[place] = bytes === 4 ? new Float32Array(raw) : Float32Array.from(new Int16Array(raw), (n) => n * scale);
    }
    return read[place];
  }

  function put(place, values) {
    read[place] = values;
  }

  function strongest(record) {
    const { values, gradients, channels, shape: [, H, W] } = data.records[record];
    const all = numbers(data.steps[now].backward ? gradients : values);
    let best = 0;
    all.forEach((value, place) => { if (Math.abs(value) > Math.abs(all[best])) best = place; });
    return { record, channel: channels[Math.floor(best / (H * W))], row: Math.floor(best / W) % H, column: best % W };
  }

  function short(number) {
    const size = Math.abs(number);
    const text = size > 0 && size < 0.001 ? number.toExponential(3) : Number(number.toPrecision(4)).toString();
    return text.replaceAll("-", "\u2212");
  }

  function pick(chosen) {
    unit = chosen;
    document.querySelectorAll(".marker").forEach((marker) => marker.remove());
    find("nothing").hidden = chosen !== null;
    find("unit-detail").hidden = chosen === null;
    if (chosen === null) return;
    const maps = data.records[unit.record];
    const [, H, W] = maps.shape;
    find("map").replaceChildren(...maps.channels.map((channel) => new Option(channel, channel)));
    find("map").value = unit.channel;
    find("at-row").max = H - 1;
    find("at-row").value = unit.row;
    find("at-column").max = W - 1;
    find("at-column").value = unit.column;
    mark();
    look();
  }

  function look() {
    if (unit === null) return;
    const maps = data.records[unit.record];
    showValues(maps);
    showField(maps);
    showProduct(maps);
  }

  function mark() {
    cards[now].querySelectorAll(".sheet[data-maps]").forEach((sheet) => {
      const { columns, height, width, channels, record } = JSON.parse(sheet.dataset.maps);
      const place = channels.indexOf(unit.channel);
      if (record !== unit.record || place < 0) return;
      const wide = columns * (width + 1) - 1;
      const high = Math.ceil(channels.length / columns) * (height + 1) - 1;
      const marker = document.createElement("div");
      marker.className = "marker";
      marker.style.left = `${(100 * ((place % columns) * (width + 1) + unit.column)) / wide}%`;
      marker.style.top = `${(100 * (Math.floor(place / columns) * (height + 1) + unit.row)) / high}%`;
      marker.style.width = `${100 / wide}%`;
      marker.style.height = `${100 / high}%`;
      sheet.append(marker);
    });
  }

  function place(maps) {
    const [, H, W] = maps.shape;
    return (maps.channels.indexOf(unit.channel) * H + unit.row) * W + unit.column;
  }

  function paragraphs(id, texts) {
    find(id).replaceChildren(...texts.map((text) => {
      const paragraph = document.createElement("p");
      paragraph.textContent = text;
      return paragraph;
    }));
  }

  function showValues(maps) {
    const title = data.steps.find((step) => step.record === unit.record).title;
    const texts = [`${title}, map ${unit.channel}, row ${unit.row}, column ${unit.column}`];
    texts.push(`y = ${short(numbers(maps.values)[place(maps)])}`);
    if (data.steps[now].backward && maps.gradients !== undefined) {
      texts.push(`dL/dy = ${short(numbers(maps.gradients)[place(maps)])}`);
    }
    paragraphs("values", texts);
  }

  function showField(maps) {
    find("sees").hidden = !maps.field || !data.picture;
    if (find("sees").hidden) return;
    const [start, step, size] = maps.field;
    const spans = [unit.row, unit.column].map((at, side) => {
      const first = start[side] + at * step[side];
      const last = first + size[side] - 1;
      return { first: Math.max(0, first), last: Math.min(data.picture[side] - 1, last), cut: first < 0 || last >= data.picture[side] };
    });
    const [rows, columns] = spans;
    const [H, W] = data.picture;
    const outside = rows.first > rows.last || columns.first > columns.last;
    find("field").hidden = outside;
    Object.assign(find("field").style, {
      top: `${(100 * rows.first) / H}%`,
      height: `${(100 * (rows.last - rows.first + 1)) / H}%`,
      left: `${(100 * columns.first) / W}%`,
      width: `${(100 * (columns.last - columns.first + 1)) / W}%`,
    });
    find("sees-what").textContent = outside
      ? "It sees nothing but padding."
      : `It sees rows ${rows.first} to ${rows.last} and columns ${columns.first} to ${columns.last} of the image: ` +
        `a receptive field of ${size[0]}x${size[1]}${spans.some((span) => span.cut) ? ", partly outside" : ""}.`;
  }

  function showProduct(maps) {
    const conv = maps.conv;
    find("product").hidden = !conv;
    if (!conv) return;
    const [C, H, W] = data.arrays[conv.x].shape;
    const [, CG, KH, KW] = data.arrays[conv.w].shape;
    const index = maps.channels.indexOf(unit.channel);
    const x = numbers(conv.x);
    const filter = numbers(conv.w).subarray(index * CG * KH * KW, (index + 1) * CG * KH * KW);
    const group = Math.floor(unit.channel / (maps.shape[0] / conv.groups));
    const top = unit.row * conv.stride[0] - conv.padding[0];
    const left = unit.column * conv.stride[1] - conv.padding[1];
    const column = new Float32Array(CG * KH * KW);
    for (let c = 0, k = 0; c < CG; c++) {
      for (let kh = 0; kh < KH; kh++) {
        for (let kw = 0; kw < KW; kw++, k++) {
          const h = top + kh * conv.dilation[0];
          const w = left + kw * conv.dilation[1];
          if (h >= 0 && h < H && w >= 0 && w < W) column[k] = x[((group * CG + c) * H + h) * W + w];
        }
      }
    }
    const products = column.map((number, k) => number * filter[k]);
    const sum = products.reduce((total, number) => total + number, 0);
    const bias = conv.b ? conv.b[index] : 0;
    const count = `${CG * KH * KW} numbers: ${CG} channels of ${KH}x${KW}`;
    draw("window", column, CG, KH, KW, `x, ${count}`);
    draw("filter", filter, CG, KH, KW, `w of map ${unit.channel}`);
    draw("products", products, CG, KH, KW, "products");
    const own = conv.groups > 1 ? ` Its group sees channels ${group * CG} to ${group * CG + CG - 1} of ${C} only.` : "";
    let text = `The products add up to ${short(sum)}; with b = ${short(bias)} that is y = ${short(sum + bias)}.${own}`;
    if (data.steps[now].backward && maps.gradients !== undefined) {
      text += " In the backward pass this unit adds dL/dy times the filter to dL/dx in its window, and dL/dy times the window to dL/dw.";
    }
    find("sum").textContent = text;
  }

  // Blue is negative, white zero, red positive: as on the cards.
  function colour(share) {
    const [r, g, b] = share < 0 ? [33, 102, 172] : [178, 24, 43];
    const s = Math.min(1, Math.abs(share));
    return [255 + s * (r - 255), 255 + s * (g - 255), 255 + s * (b - 255), 255];
  }

  function canvas(wide, high, times, paint, label) {
    const made = document.createElement("canvas");
    made.width = wide;
    made.height = high;
    made.style.width = `${wide * times[0]}px`;
    made.style.height = `${high * times[1]}px`;
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
    const context = made.getContext("2d");
    const image = context.createImageData(wide, high);
    paint(image.data);
    context.putImageData(image, 0, 0);
    return made;
  }

  function draw(id, values, C, KH, KW, what) {
    const largest = values.reduce((most, number) => Math.max(most, Math.abs(number)), 0) || 1;
    const columns = C <= 4 ? C : Math.ceil(Math.sqrt(C));
    const rows = Math.ceil(C / columns);
    const wide = columns * (KW + 1) - 1;
    const high = rows * (KH + 1) - 1;
    const times = Math.max(1, Math.min(12, Math.floor(150 / wide)));
    const strip = canvas(1, values.length, [12, (high * times) / values.length], (pixels) => {
      values.forEach((number, k) => pixels.set(colour(number / largest), 4 * k));
    }, `${what}, as one column`);
    const tiles = canvas(wide, high, [times, times], (pixels) => {
      values.forEach((number, k) => {
        const c = Math.floor(k / (KH * KW));
        const row = Math.floor(c / columns) * (KH + 1) + (Math.floor(k / KW) % KH);
        const column = (c % columns) * (KW + 1) + (k % KW);
        pixels.set(colour(number / largest), 4 * (row * wide + column));
      });
    }, `${what}, a tile for each channel`);
    find(id).replaceChildren(strip, tiles);
    find(`${id}-what`).textContent = `${what}; red is ${short(largest)}`;
  }

  document.addEventListener("click", (event) => {
    const sheet = event.target.closest(".sheet[data-maps]");
    if (!sheet) return;
    const { columns, height, width, channels, record } = JSON.parse(sheet.dataset.maps);
    if (record === null || !data.records[record]) return;
    const image = sheet.querySelector("img");
    const area = image.getBoundingClientRect();
    const high = Math.ceil(channels.length / columns) * (height + 1) - 1;
    const x = ((event.clientX - area.left) / area.width) * (columns * (width + 1) - 1);
    const y = ((event.clientY - area.top) / area.height) * high;
    const channel = channels[Math.floor(y / (height + 1)) * columns + Math.floor(x / (width + 1))];
    if (channel === undefined || !data.records[record].channels.includes(channel)) return;
    const row = Math.min(height - 1, Math.floor(y % (height + 1)));
    const column = Math.min(width - 1, Math.floor(x % (width + 1)));
    stop();
    pick({ record, channel, row, column });
    comeAlong();
  });

  // On a phone the unit is looked at below the card: there a click leads to it, and a link leads back.
  function comeAlong() {
    const { top } = find("unit").getBoundingClientRect();
    const below = top > innerHeight / 2;
    find("back").hidden = !below;
    if (below) scrollTo({ top: scrollY + top - 8, behavior: calm ? "auto" : "smooth" });
  }

  find("back").addEventListener("click", () => {
    document.querySelector(".step.now .marker")?.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  });

  find("where").addEventListener("submit", (event) => event.preventDefault());
  find("where").addEventListener("change", () => {
    const [, H, W] = data.records[unit.record].shape;
    const within = (id, most) => Math.max(0, Math.min(most - 1, Math.round(Number(find(id).value)) || 0));
    pick({ ...unit, channel: Number(find("map").value), row: within("at-row", H), column: within("at-column", W) });
  });

  find("turn").hidden = !data.steps.some((step) => step.backward);
  const asked = /^#step(\d+)$/.exec(location.hash);
  show(asked ? Number(asked[1]) - 1 : 0);
  // For a page that does more: other numbers for an array, and the unit drawn again.
  return { data, put, look, short, colour, card: () => cards[now] };
})();
