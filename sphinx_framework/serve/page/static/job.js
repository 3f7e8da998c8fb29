// One job as the page knows it, built from its events alone: the same live and after a reload.
import { picture } from "./api.js";
import { follow, insisted } from "./events.js";
import { readMasks } from "./mask.js";

export class JobView {
  /** `told` has `status`, `plan`, `frame(index)`, `done`, `lost(seconds)`, `found`. */
  constructor(job, told) {
    this.told = told;
    this.stopping = new AbortController();
    this.update(job);
    this.clear();
  }

  update(job) {
    this.job = job;
    this.id = job.id;
    this.count = job.scene.targets;
    this.size = { width: job.scene.width, height: job.scene.height };
  }

  clear() {
    this.plan = null;
    this.masks = null;
    this.cameras = null; // only of photos that came without any
    this.report = null;
    this.frames = Array.from({ length: this.count }, () => ({}));
  }

  /** Read all events, then the new ones, until the job ends or another one is opened. */
  async run() {
    const { lost, found } = this.told;
    for await (const { name, data } of follow(this.id, { signal: this.stopping.signal, lost, found })) {
      await this.on(name, data);
      if (this.stopping.signal.aborted) return;
    }
  }

  stop() {
    this.stopping.abort();
    for (const frame of this.frames) {
      for (const url of [frame.preview, frame.final]) if (url?.startsWith("blob:")) URL.revokeObjectURL(url);
    }
  }

  async on(name, data) {
    if (name === "status" || name === "progress") this.told.status(name, data);
    if (name === "plan") {
      this.plan = data.plan;
      this.masks = data.masks ? readMasks(data.masks) : null;
      this.cameras = data.cameras ?? null;
      for (const camera of this.cameras?.inputs ?? []) Object.assign(camera, this.size);
      this.told.plan();
    }
    if (name === "preview" || name === "frame") {
      const frame = this.frames[data.index];
      const url = await insisted(() => picture(data.url), this.stopping.signal);
      if (name === "preview") frame.preview = url;
      else Object.assign(frame, { final: url, served: data.served });
      this.told.frame(data.index);
    }
    if (name === "done") this.told.done(data);
  }

  /** What is known of a frame, in a word or two. */
  state(index) {
    const frame = this.frames[index];
    if (frame.final) return frame.served === "refined" ? "refined" : "regression";
    return frame.preview ? "coarse" : "waiting";
  }

  /** The report's row about a frame, once the job is done. */
  reported(index) {
    return this.report?.frames[index] ?? null;
  }

  mask(index) {
    if (!this.masks) return null;
    return { height: this.masks.height, width: this.masks.width, cells: this.masks.all[index] };
  }
}
