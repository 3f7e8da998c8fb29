// What is rendered: photos or an archive of the user's, a sample, or the scene of an earlier job.
import { getJson, picture } from "./api.js";
import { readCameras } from "./cameras.js";
import { $, element, size } from "./dom.js";
import { filesOf, isFolder, packed } from "./folder.js";

const PHOTO = /\.(png|jpe?g|webp)$/i;
const UNTOUCHED = 1; // the turn before anything was chosen
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;

export class Source {
  /** `changed(scene, pictures)` is called when cameras are known, or not any more (null). */
  constructor(changed) {
    this.changed = changed;
    this.model = null;
    this.clear();
    $("files").addEventListener("change", () => {
      this.take([...$("files").files]);
      $("files").value = "";
    });
    $("sample").addEventListener("change", () => $("sample").value && this.open($("sample").value));
    const drop = $("drop");
    for (const name of ["dragenter", "dragover"]) {
      addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) addEventListener(name, () => drop.classList.remove("over"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      filesOf(event.dataTransfer).then((files) => this.take(files), () => say("The files cannot be read."));
    });
  }

  clear() {
    this.id = this.archive = this.cameras = this.scene = null;
    this.photos = [];
    this.pictures = [];
    this.loose = [];
    this.odd = [];
    this.turn = (this.turn ?? 0) + 1;
  }

  /** Photos without cameras, and so without targets of their own. */
  get photosAlone() {
    return this.photos.length > 0 && !this.cameras;
  }

  /** What the server runs, once it has said so: photos may have been chosen before. */
  async serve(model) {
    this.model = model;
    if (this.photosAlone && !this.id) await this.describe();
  }

  /** Offer the server's samples; open the first if wanted, unless something is chosen already. */
  async offer(openFirst) {
    const { data } = await getJson("/v1/scenes");
    $("samplesRow").hidden = !data.length;
    const named = (id) => id.replace("procedural:", "");
    $("sample").replaceChildren(new Option("none", ""), ...data.map(({ id }) => new Option(named(id), id)));
    if (openFirst && data.length && this.turn === UNTOUCHED) await this.open(data[0].id);
  }

  /** A scene that the server has: its cameras, and its photos as it sees them. */
  async open(id, name = id.replace("procedural:", "")) {
    this.clear();
    this.id = id;
    const turn = this.turn;
    $("sample").value = [...$("sample").options].some((option) => option.value === id) ? id : "";
    say(`Opening ${name}.`);
    $("thumbnails").replaceChildren();
    this.changed(null, []);
    try {
      const query = `id=${encodeURIComponent(id)}`;
      const scene = await getJson(`/v1/scenes/cameras?${query}`);
      if (turn !== this.turn) return;
      for (const camera of [...scene.inputs, ...scene.targets]) Object.assign(camera, { width: scene.width, height: scene.height });
      const urls = await Promise.all(scene.inputs.map((_, i) => picture(`/v1/scenes/photo?${query}&index=${i}`)));
      if (turn !== this.turn) return;
      this.scene = scene;
      say(`${name}: ${scene.inputs.length} photos of ${scene.width} x ${scene.height}. ${scene.warnings.join(" ")}`);
      this.changed(scene, this.show(urls.map((url, i) => [url, `photo ${i + 1}`])));
    } catch (error) {
      if (turn === this.turn) say(`The cameras of ${name} are not known: ${error.message}`);
    }
  }

  /** The scene of a job whose photos came alone; `mine`: they are the ones that are chosen here. */
  adopt(scene, mine) {
    if (!mine) {
      this.clear();
      $("sample").value = "";
      $("thumbnails").replaceChildren();
    }
    this.id = scene.id;
    say(`${scene.inputs} photos of ${scene.width} x ${scene.height}; their cameras were estimated.`);
  }

  /** Files that were dropped or chosen: loose ones add up, an archive replaces them. */
  async take(files) {
    if (!files.length) return;
    const archive = files.find((file) => ARCHIVE.test(file.name));
    const fresh = new Set(files.map((file) => file.name));
    const loose = archive ? [] : [...this.loose.filter((file) => !fresh.has(file.name)), ...files];
    const photos = loose.filter((file) => PHOTO.test(file.name));
    const json = loose.findLast((file) => /\.json$/i.test(file.name));
    if (!archive && !json && !photos.length) {
      say(`${files[0].name} is not a photo (PNG, JPEG, WebP), a cameras.json or an archive.`);
      return;
    }
    this.clear();
    const turn = this.turn;
    $("sample").value = "";
    this.loose = loose;
    if (archive || isFolder(loose)) {
      if (!archive) say("Packing the folder.");
      this.archive = archive ?? (await packed(loose));
    } else {
      this.photos = photos;
      this.cameras = json ?? null;
    }
    if (turn !== this.turn) return;
    this.odd = archive ? [] : loose.filter((file) => !photos.includes(file) && file !== json);
    await this.describe();
  }

  async describe() {
    const turn = this.turn;
    const notes = this.odd.length ? [`${this.odd.length} other file(s) left out.`] : [];
    if (this.archive) notes.unshift(`${this.archive.name}, ${size(this.archive.size)}. Its cameras are known once a job has read it.`);
    else notes.unshift(`${this.photos.length} photo(s)${this.cameras ? ` with ${this.cameras.name}` : ""}.`);
    let scene = null;
    if (this.cameras) {
      try {
        scene = readCameras(await this.cameras.text());
        const names = new Set(this.photos.map((file) => file.name));
        const missing = scene.inputs.filter((camera) => !names.has(camera.file)).map((camera) => camera.file);
        if (missing.length) notes.push(`Still missing: ${missing.slice(0, 4).join(", ")}.`);
      } catch (error) {
        notes.push(`${this.cameras.name} cannot be used: ${error.message}.`);
      }
    } else if (this.photosAlone && this.model) {
      notes.push(this.model.unposed
        ? "Their cameras are estimated by the job."
        : "Add their cameras.json: this pipeline estimates no cameras.");
    }
    if (turn !== this.turn) return;
    this.scene = scene;
    say(notes.join(" "));
    const files = scene ? scene.inputs.map((camera) => this.photos.find((file) => file.name === camera.file)) : this.photos;
    const shown = files.map((file, i) => [file ? URL.createObjectURL(file) : "", file?.name ?? scene.inputs[i].file ?? "no file"]);
    const pictures = this.show(shown);
    this.changed(scene, pictures);
  }

  show(entries) {
    for (const image of $("thumbnails").querySelectorAll("img")) if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    const pictures = entries.map(([url, name], i) => (url
      ? element("img", { src: url, alt: name, onload: () => dispatchEvent(new Event("themechange")) })
      : null));
    $("thumbnails").replaceChildren(...entries.map(([, name], i) =>
      element("li", {}, pictures[i], element("span", { text: `${i + 1}: ${name}`, title: name }))));
    this.pictures = pictures;
    return pictures;
  }

  /** Where a job gets its scene from: a body for POST /v1/jobs. Raises Error in words. */
  body(request) {
    if (this.id) return { ...request, scene: this.id };
    const form = new FormData();
    if (this.archive) form.append("scene", this.archive);
    else {
      if (!this.photos.length) throw new Error("Choose photos, an archive or a sample first.");
      for (const photo of this.photos) form.append("photos", photo);
      if (this.cameras) form.append("cameras", this.cameras, "cameras.json");
    }
    const bytes = [this.archive, this.cameras, ...this.photos].reduce((sum, file) => sum + (file?.size ?? 0), 0);
    const most = this.model?.limits.max_upload_bytes ?? Infinity;
    if (bytes > most) throw new Error(`The files have ${size(bytes)}; the server takes ${size(most)}. Send smaller photos.`);
    form.append("request", JSON.stringify(request));
    return form;
  }
}

function say(text) {
  $("sceneNote").textContent = text;
}
