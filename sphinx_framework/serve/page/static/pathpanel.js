// The choice of a camera path: a preset with its numbers, or key frames.
import { $, element } from "./dom.js";
import { PATHS, pathPoses } from "./paths.js";

export class PathPanel {
  constructor(space) {
    this.space = space;
    this.scene = null;
    this.keys = [];
    $("path").replaceChildren(...Object.entries(PATHS).map(([id, { name }]) => new Option(name, id)));
    $("path").addEventListener("change", () => this.choose());
    for (const id of ["count", "amount"]) $(id).addEventListener("input", () => this.draw());
    $("keyFromView").addEventListener("click", () => this.add(this.space.eye(), "a view"));
    $("keyFromPhoto").addEventListener("change", () => {
      const index = Number($("keyFromPhoto").value);
      if (index) this.add(this.scene.inputs[index - 1].pose, `photo ${index}`);
      $("keyFromPhoto").value = "";
    });
    this.choose();
  }

  get kind() {
    return $("path").value;
  }

  /** Cameras of another scene, or null while they are not known; `own`: it may name targets. */
  show(scene, own = true) {
    this.scene = scene;
    this.keys = [];
    for (const option of $("path").options) {
      const { spec, least } = PATHS[option.value];
      const possible = scene
        ? scene.inputs.length >= (least ?? 1) && (option.value !== "own" || scene.targets.length > 0)
        : spec || (own && option.value === "own");
      option.disabled = !possible;
    }
    if ($("path").selectedOptions[0].disabled) {
      $("path").value = [...$("path").options].find((option) => !option.disabled).value;
    }
    const photos = scene?.inputs.map((_, i) => new Option(`photo ${i + 1}`, i + 1)) ?? [];
    $("keyFromPhoto").replaceChildren(new Option("choose", ""), ...photos);
    this.choose();
  }

  choose() {
    const { note, amount } = PATHS[this.kind];
    $("pathNote").textContent = this.scene || PATHS[this.kind].spec || this.kind === "own"
      ? note : `${note} It needs known cameras.`;
    $("countLabel").hidden = this.kind === "own";
    $("amountLabel").hidden = !amount;
    if (amount) {
      const [text, value, least, most] = amount;
      $("amountText").textContent = text;
      Object.assign($("amount"), { value, min: least, max: most });
    }
    $("keyframes").hidden = this.kind !== "keys";
    this.draw();
  }

  get count() {
    return Math.max(1, Math.min(Number($("count").max), Math.round(Number($("count").value)) || 1));
  }

  get amount() {
    const { amount } = PATHS[this.kind];
    if (!amount) return 0;
    return Math.max(amount[2], Math.min(amount[3], Number($("amount").value) || amount[1]));
  }

  draw() {
    this.space.setPath(pathPoses(this.kind, this.scene, this.count, this.amount, this.keys.map((key) => key.pose)));
    $("keys").replaceChildren(...this.keys.map((key, i) => this.row(key, i)));
  }

  add(pose, name) {
    if (!this.scene) return;
    this.keys.push({ pose, name });
    this.draw();
  }

  row(key, index) {
    const move = (to) => {
      this.keys.splice(index, 1);
      if (to !== null) this.keys.splice(to, 0, key);
      this.draw();
    };
    const button = (text, label, to) =>
      element("button", { type: "button", class: "small", text, "aria-label": `${label} key frame ${index + 1}`, onclick: () => move(to) });
    return element("li", {}, element("span", {}, key.name,
      index > 0 ? button("up", "Move up", index - 1) : null,
      index < this.keys.length - 1 ? button("down", "Move down", index + 1) : null,
      button("remove", "Remove", null)));
  }

  /** The path's part of a request. Raises Error in words. */
  request() {
    if (this.kind === "own") return {};
    const { spec } = PATHS[this.kind];
    if (spec) return { targets: spec(this.count, this.amount) };
    if (this.kind === "keys" && this.keys.length < 2) throw new Error("Choose at least two key frames.");
    const poses = this.space.path;
    if (!poses.length) throw new Error("This path needs cameras that are known.");
    return { target_cameras: { convention: "opencv_c2w", targets: poses.map((pose) => ({ pose })) } };
  }
}
