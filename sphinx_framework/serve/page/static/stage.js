// The stage: one frame large, regression on the left of a seam and the result on its right.
import { $, element } from "./dom.js";
import { paintMask } from "./mask.js";

export class Stage {
  /** `moved(index)` is called when another frame is shown. */
  constructor(moved) {
    this.moved = moved;
    this.view = null;
    this.index = 0;
    $("rate").replaceChildren(...[2, 4, 8, 12, 24].map((n) => new Option(n, n, n === 8, n === 8)));
    $("compare").addEventListener("input", () => this.split());
    $("scrub").addEventListener("input", () => this.go(Number($("scrub").value)));
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    $("rate").addEventListener("change", () => this.timer && this.play());
    $("showMask").addEventListener("change", () => this.paint());
    const stage = $("stage");
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      this.seamTo(event);
    });
    stage.addEventListener("pointermove", (event) => event.buttons && this.seamTo(event));
    this.split();
  }

  /** Show a job's frames; their number is known when its first event has come. */
  open(view) {
    this.pause();
    this.view = view;
    this.index = 0;
    $("viewer").hidden = true;
    $("strip").replaceChildren();
  }

  /** A frame has changed; others need not be drawn again. */
  update(index) {
    const { count } = this.view;
    $("viewer").hidden = false;
    $("scrub").max = count - 1;
    while ($("strip").children.length < count) this.addThumbnail($("strip").children.length);
    this.drawThumbnail(index);
    if (index === this.index || !$("after").getAttribute("src")) this.paint();
  }

  addThumbnail(index) {
    const button = element("button", { type: "button", onclick: () => this.go(index) },
      element("img", { alt: "", loading: "lazy" }), element("span"));
    $("strip").append(element("li", {}, button));
    this.drawThumbnail(index);
  }

  drawThumbnail(index) {
    const frame = this.view.frames[index];
    const item = $("strip").children[index];
    const source = frame?.final ?? frame?.preview;
    const image = item.querySelector("img");
    if (source && image.getAttribute("src") !== source) {
      image.src = source;
      if (frame.final && frame.served === "refined") image.classList.add("fresh");
    }
    const state = this.view.state(index);
    item.className = frame?.final ? "" : "coarse";
    item.querySelector("span").textContent = `${index + 1} ${state}`;
    item.firstChild.setAttribute("aria-label", `Frame ${index + 1}, ${state}`);
    item.firstChild.setAttribute("aria-current", String(index === this.index));
  }

  go(index) {
    const before = this.index;
    this.index = Math.max(0, Math.min(this.view.count - 1, index));
    for (const i of [before, this.index]) if ($("strip").children[i]) this.drawThumbnail(i);
    if (!this.timer) $("strip").children[this.index]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.paint();
  }

  step(by) {
    this.pause();
    this.go((this.index + by + this.view.count) % this.view.count);
  }

  paint() {
    const frame = this.view?.frames[this.index];
    if (!frame) return;
    const { width, height } = this.view.size;
    $("stage").style.aspectRatio = `${width} / ${height}`;
    $("stage").style.maxWidth = `min(100%, calc(70vh * ${width / height}))`;
    const coarse = frame.preview ?? frame.final;
    set($("before"), coarse, `Frame ${this.index + 1}, regression`, width);
    set($("after"), frame.final ?? coarse, `Frame ${this.index + 1}, ${this.view.state(this.index)}`, width);
    $("afterTag").textContent = this.view.state(this.index);
    $("scrub").value = this.index;
    $("frameText").textContent = `${this.index + 1} of ${this.view.count}`;
    $("scrub").setAttribute("aria-valuetext", `Frame ${this.index + 1} of ${this.view.count}, ${this.view.state(this.index)}`);
    $("showMask").disabled = !this.view.masks;
    paintMask($("mask"), $("showMask").checked ? this.view.mask(this.index) : null);
    this.moved(this.index);
  }

  play() {
    this.pause();
    $("play").textContent = "Pause";
    $("play").setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => this.go((this.index + 1) % this.view.count), 1000 / Number($("rate").value));
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    $("play").textContent = "Play";
    $("play").setAttribute("aria-pressed", "false");
  }

  seamTo(event) {
    const box = $("stage").getBoundingClientRect();
    $("compare").value = Math.round((100 * (event.clientX - box.left)) / box.width);
    this.split();
  }

  split() {
    const share = Number($("compare").value);
    $("before").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    $("seam").style.left = `${share}%`;
    $("compare").setAttribute("aria-valuetext", `regression on the left ${share} %`);
  }
}

function set(image, source, alt, width) {
  if (image.getAttribute("src") !== source) image.src = source;
  image.alt = alt;
  image.classList.toggle("small", width <= 256);
}
