// Camera paths. The first four are the server's own and are asked for by name; the others are
// computed here and sent as poses.
import { focusPoint, meanUp } from "./focus.js";
import { aligned, poseOf, quaternion, slerp } from "./rotation.js";
import { add, axis, centre, cross, dot, lerp, lookAt, mean, norm, posed, scale, sub, turned, unit } from "./vec.js";

const list = (count, make) => Array.from({ length: count }, (_, i) => make(i));
/** From -1 to 1 and back to -1, without a jump where the path repeats. */
const swing = (i, count) => -Math.cos((2 * Math.PI * i) / count);

export const PATHS = {
  own: { name: "the scene's own targets", note: "The targets that the scene's files name." },
  interpolate: {
    name: "between the photos", note: "From the first photo to the last, ends left out.",
    spec: (n) => `interpolate:${n}`, make: interpolate, least: 2,
  },
  orbit: {
    name: "orbit", note: "Around what the photos look at.", amount: ["Degrees", 360, 1, 360],
    spec: (n, degrees) => `orbit:${n}:${degrees}`, make: orbit,
  },
  spiral: {
    name: "spiral", note: "Two turns around the mean photo.", spec: (n) => `spiral:${n}`, make: spiral,
  },
  dolly: {
    name: "dolly", note: "Forward and back along the mean view; the number is a share of the way to the focus.",
    amount: ["Share", 0.4, 0.01, 0.9], make: dolly,
  },
  pan: {
    name: "pan", note: "The mean camera turns left and right where it stands.",
    amount: ["Degrees", 20, 1, 90], make: pan,
  },
  arc: {
    name: "arc", note: "Part of an orbit, out and back, about the mean camera.",
    amount: ["Degrees", 30, 1, 180], make: arc,
  },
  lemniscate: {
    name: "figure eight", note: "An eight in front of the scene; the number is its half width, as a share of the distance.",
    amount: ["Share", 0.15, 0.01, 0.9], make: lemniscate,
  },
  keys: { name: "key frames", note: "A smooth path through views that you choose.", least: 0 },
};

/** The camera in the middle of all: its place, what it looks at, and its axes. */
export function middle(scene) {
  const poses = scene.inputs.map((camera) => camera.pose);
  const up = meanUp(poses);
  const at = mean(poses.map(centre));
  const forward = unit(mean(poses.map((pose) => axis(pose, 2))), axis(poses[0], 2));
  const distance = norm(sub(focusPoint(poses, scene.near, scene.far), at));
  const focus = add(at, scale(forward, distance));
  return { poses, up, at, forward, distance, focus, pose: lookAt(at, focus, up) };
}

function interpolate({ inputs }, count) {
  const poses = inputs.map((camera) => camera.pose);
  return list(count, (i) => along(poses, ((poses.length - 1) * (i + 1)) / (count + 1)));
}

/** A smooth path through poses; `place` 1.5 is half-way from pose 1 to pose 2. */
export function along(poses, place) {
  const turns = poses.map(quaternion);
  const first = Math.min(Math.floor(place), poses.length - 2);
  if (poses.length === 2) {
    const at = lerp(centre(poses[0]), centre(poses[1]), place);
    return poseOf(slerp(turns[0], turns[1], place), at);
  }
  const at = catmullRom(poses.map(centre), first, place - first);
  return poseOf(catmullRom(aligned(turns), first, place - first), at);
}

function catmullRom(values, first, u) {
  const slope = (i) => {
    const [a, b] = [Math.max(i - 1, 0), Math.min(i + 1, values.length - 1)];
    return scale(sub(values[b], values[a]), 1 / (b - a));
  };
  const terms = [
    scale(values[first], (1 + 2 * u) * (1 - u) ** 2), scale(slope(first), u * (1 - u) ** 2),
    scale(values[first + 1], u * u * (3 - 2 * u)), scale(slope(first + 1), -u * u * (1 - u)),
  ];
  return terms.reduce(add);
}

function orbit(scene, count, degrees) {
  const poses = scene.inputs.map((camera) => camera.pose);
  return circle(poses, focusPoint(poses, scene.near, scene.far), centre(poses[0]),
    list(count, (i) => (i * degrees) / count));
}

function circle(poses, focus, start, degrees) {
  const up = meanUp(poses);
  const offset = sub(start, focus);
  const height = scale(up, dot(offset, up));
  const across = sub(offset, height);
  const sideways = cross(up, across);
  return degrees.map((angle) => {
    const [c, s] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
    const at = [focus, height, scale(across, c), scale(sideways, s)].reduce(add);
    return lookAt(at, focus, up);
  });
}

function spiral(scene, count) {
  const { poses, up, at, distance, focus, pose } = middle(scene);
  const axes = [0, 1, 2].map((i) => axis(pose, i));
  const radii = axes.map((along, i) => {
    const radius = quantile(poses.map((p) => Math.abs(dot(sub(centre(p), at), along))), 0.9);
    return i < 2 ? Math.max(radius, 0.05 * distance) : radius;
  });
  return list(count, (i) => {
    const angle = (4 * Math.PI * i) / count;
    const local = [Math.cos(angle), -Math.sin(angle), -Math.sin(angle / 2)];
    const place = local.reduce((sum, v, k) => add(sum, scale(axes[k], v * radii[k])), at);
    return lookAt(place, focus, up);
  });
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  return lerp([sorted[low]], [sorted[Math.min(low + 1, sorted.length - 1)]], place - low)[0];
}

function dolly(scene, count, share) {
  const { at, forward, distance, pose } = middle(scene);
  const axes = [0, 1, 2].map((i) => axis(pose, i));
  return list(count, (i) => {
    const move = share * distance * (1 + swing(i, count)) / 2;
    return posed(...axes, add(at, scale(forward, move)));
  });
}

function pan(scene, count, degrees) {
  const { pose } = middle(scene);
  return list(count, (i) => turned(pose, 1, degrees * Math.sin((2 * Math.PI * i) / count)));
}

function arc(scene, count, degrees) {
  const { poses, at, focus } = middle(scene);
  return circle(poses, focus, at,
    list(count, (i) => (degrees / 2) * Math.sin((2 * Math.PI * i) / count)));
}

function lemniscate(scene, count, share) {
  const { up, at, distance, focus, pose } = middle(scene);
  return list(count, (i) => {
    const angle = (2 * Math.PI * i) / count;
    const size = (share * distance) / (1 + Math.sin(angle) ** 2);
    const x = scale(axis(pose, 0), size * Math.cos(angle));
    const y = scale(axis(pose, 1), size * Math.sin(angle) * Math.cos(angle));
    return lookAt([at, x, y].reduce(add), focus, up);
  });
}

/** Poses of a path, or null where the page cannot know them; `keys` are chosen poses. */
export function pathPoses(kind, scene, count, amount, keys) {
  if (kind === "own") return scene?.targets?.map((camera) => camera.pose) ?? null;
  if (!scene) return null;
  if (kind === "keys") {
    if (keys.length < 2) return keys.slice(0, 1);
    return list(count, (i) => along(keys, count === 1 ? 0 : ((keys.length - 1) * i) / (count - 1)));
  }
  if (scene.inputs.length < (PATHS[kind].least ?? 1)) return null;
  return PATHS[kind].make(scene, count, amount);
}
