// The 3-D view: photos as small pyramids with their picture, the path, and points where known.
import { drawPoints } from "./points.js";
import { middle } from "./paths.js";
import { add, axis, centre, cross, dot, norm, scale, sub, toCamera, toWorld, unit, lookAt } from "./vec.js";

const FIELD = 0.9; // focal length over half of the view's height is 1 / FIELD
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Space {
  constructor(canvas) {
    this.canvas = canvas;
    this.scene = null;
    this.path = [];
    this.current = -1;
    this.points = null;
    this.pictures = [];
    this.reset();
    new ResizeObserver(() => this.draw()).observe(canvas);
    for (const event of ["themechange", "resize"]) addEventListener(event, () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Show a scene: cameras of its photos, their pictures (images or null). */
  show(scene, pictures = []) {
    this.scene = scene;
    this.pictures = pictures;
    this.reset();
  }

  /** Show a path; the view moves back to hold it, unless it was moved by hand. */
  setPath(poses) {
    this.path = poses ?? [];
    if (!this.moved) this.fit();
    this.draw();
  }

  reset() {
    this.moved = false;
    this.yaw = 0.55;
    this.pitch = 0.4;
    this.shift = [0, 0, 0];
    if (this.scene) {
      this.mid = middle(this.scene);
      const spread = this.scene.inputs.map((camera) => norm(sub(centre(camera.pose), this.mid.at)));
      this.size = Math.max(0.25 * this.mid.distance, ...spread);
      this.fit();
    }
    this.draw();
  }

  /** Look at all cameras, and at some of what they see. */
  fit() {
    if (!this.scene) return;
    const poses = [...this.scene.inputs.map((camera) => camera.pose), ...this.path];
    const seen = poses.flatMap((pose) => [centre(pose), toWorld(pose, [0, 0, this.size])]);
    this.pivot = scale(seen.reduce(add), 1 / seen.length);
    const radius = Math.max(...seen.map((point) => norm(sub(point, this.pivot))));
    this.distance = radius / FIELD + 0.5 * radius;
  }

  /** Turn by angles in radians, move sideways by shares of the view, zoom by a factor. */
  move({ yaw = 0, pitch = 0, right = 0, up = 0, zoom = 1 }) {
    if (!this.scene) return;
    this.moved = true;
    this.yaw += yaw;
    this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch + pitch));
    this.distance = Math.max(0.2 * this.size, Math.min(100 * this.size, this.distance * zoom));
    const pose = this.eye();
    const reach = this.distance * FIELD;
    this.shift = [this.shift, scale(axis(pose, 0), right * reach), scale(axis(pose, 1), -up * reach)].reduce(add);
    this.draw();
  }

  /** The pose from which the scene is drawn. */
  eye() {
    const { up, forward } = this.mid;
    const flat = unit(sub(forward, scale(up, dot(forward, up))), axis(this.mid.pose, 0));
    const right = cross(flat, up);
    const c = Math.cos(this.pitch);
    const direction = [
      scale(flat, -c * Math.cos(this.yaw)), scale(right, c * Math.sin(this.yaw)),
      scale(up, Math.sin(this.pitch)),
    ].reduce(add);
    const point = add(this.pivot, this.shift);
    return lookAt(add(point, scale(direction, this.distance)), point, up);
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  paint() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const to = this.canvas.getContext("2d");
    to.scale(ratio, ratio);
    to.clearRect(0, 0, width, height);
    this.describe();
    if (!this.scene) {
      to.fillStyle = colour("--soft");
      to.font = "14px system-ui, sans-serif";
      to.textAlign = "center";
      to.fillText("Cameras appear here when they are known.", width / 2, height / 2, width - 20);
      return;
    }
    const pose = this.eye();
    const focal = height / 2 / FIELD;
    const project = (point) => {
      const [x, y, z] = toCamera(pose, point);
      return z > 1e-3 * this.size ? [width / 2 + (focal * x) / z, height / 2 + (focal * y) / z, z] : null;
    };
    if (this.points) drawPoints(to, this.points, pose, focal, ratio);
    this.paintPath(to, project);
    const far = (camera) => -toCamera(pose, centre(camera.pose))[2];
    const order = this.scene.inputs.map((camera, i) => [far(camera), camera, i]).sort((a, b) => a[0] - b[0]);
    for (const [, camera, i] of order) this.paintPhoto(to, project, camera, i);
  }

  paintPath(to, project) {
    if (!this.path.length) return;
    to.strokeStyle = to.fillStyle = colour("--path");
    to.lineWidth = 1.5;
    line(to, this.path.map((pose) => project(centre(pose))));
    const size = 0.18 * this.size;
    const every = Math.ceil(this.path.length / 24);
    this.path.forEach((pose, i) => {
      const now = i === this.current;
      const seen = project(centre(pose));
      if (seen) disc(to, seen, now ? 6 : 2.5);
      if (now || i % every === 0) pyramid(to, project, pose, now ? 2 * size : size, this.scene.inputs[0], now ? 2.5 : 1);
    });
  }

  paintPhoto(to, project, camera, index) {
    to.strokeStyle = to.fillStyle = colour("--photo");
    const corners = pyramid(to, project, camera.pose, 0.5 * this.size, camera, 2);
    const [picture, [a, b, , d]] = [this.pictures[index], corners];
    if (picture?.naturalWidth && a && b && d) {
      to.save();
      to.globalAlpha = 0.9;
      const [w, h] = [picture.naturalWidth, picture.naturalHeight];
      to.transform((b[0] - a[0]) / w, (b[1] - a[1]) / w, (d[0] - a[0]) / h, (d[1] - a[1]) / h, a[0], a[1]);
      to.drawImage(picture, 0, 0);
      to.restore();
    }
    const seen = project(centre(camera.pose));
    if (seen) {
      to.font = "bold 13px system-ui, sans-serif";
      to.fillText(String(index + 1), seen[0] + 5, seen[1] - 5);
    }
  }

  describe() {
    const photos = this.scene?.inputs.length ?? 0;
    const text = this.scene
      ? `Cameras and path: ${photos} photo${photos === 1 ? "" : "s"}, ${this.path.length} views on the path`
      : "Cameras and path: not known yet";
    if (this.canvas.getAttribute("aria-label") !== text) this.canvas.setAttribute("aria-label", text);
  }
}

/** Draw a camera's pyramid; its corners on the screen, from the upper left clockwise. */
function pyramid(to, project, pose, size, camera, width) {
  const { fx, fy, cx, cy } = camera.intrinsics;
  const [w, h] = [camera.width, camera.height];
  const depth = size / Math.hypot(w / fx, h / fy);
  const corner = (u, v) => project(toWorld(pose, [((u - cx) / fx) * depth, ((v - cy) / fy) * depth, depth]));
  const corners = [corner(0, 0), corner(w, 0), corner(w, h), corner(0, h)];
  const tip = project(centre(pose));
  to.lineWidth = width;
  line(to, [...corners, corners[0]]);
  for (const end of corners) line(to, [tip, end]);
  return corners;
}

function line(to, points) {
  to.beginPath();
  let drawing = false;
  for (const point of points) {
    if (!point) drawing = false;
    else if (drawing) to.lineTo(point[0], point[1]);
    else {
      to.moveTo(point[0], point[1]);
      drawing = true;
    }
  }
  to.stroke();
}

function disc(to, [x, y], radius) {
  to.beginPath();
  to.arc(x, y, radius, 0, 2 * Math.PI);
  to.fill();
}
