// Vectors are arrays of 3, poses 4x4 rows: camera to world, x right, y down, z forward.
export const add = (a, b) => a.map((v, i) => v + b[i]);
export const sub = (a, b) => a.map((v, i) => v - b[i]);
export const scale = (a, s) => a.map((v) => v * s);
export const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
export const norm = (a) => Math.sqrt(dot(a, a));
export const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];
export const mean = (vectors) => scale(vectors.reduce(add), 1 / vectors.length);
export const lerp = (a, b, t) => a.map((v, i) => (1 - t) * v + t * b[i]);

/** The direction of a vector, or of a spare one where it vanishes. */
export function unit(a, spare) {
  const chosen = spare && norm(a) <= 1e-6 ? spare : a;
  return scale(chosen, 1 / norm(chosen));
}

export const centre = (pose) => [pose[0][3], pose[1][3], pose[2][3]];
export const axis = (pose, column) => [pose[0][column], pose[1][column], pose[2][column]];

/** A pose from its axes and its centre. */
export function posed(x, y, z, at) {
  return [0, 1, 2].map((i) => [x[i], y[i], z[i], at[i]]).concat([[0, 0, 0, 1]]);
}

/** A camera at a place that looks at a point, with the horizon level about `up`. */
export function lookAt(at, point, up) {
  const z = unit(sub(point, at));
  let right = cross(z, up);
  // Straight up or down there is no horizon; any direction across serves.
  if (norm(right) < 1e-6) right = cross(z, add([z[2], z[0], z[1]], [1, 0.5, 0.25]));
  const x = unit(right);
  return posed(x, cross(z, x), z, at);
}

/** A pose turned about one of its own axes: 0 tilts, 1 pans, 2 rolls. */
export function turned(pose, about, degrees) {
  const angle = (degrees * Math.PI) / 180;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const axes = [0, 1, 2].map((i) => axis(pose, i));
  const [j, k] = [(about + 1) % 3, (about + 2) % 3];
  const [a, b] = [axes[j], axes[k]];
  axes[j] = add(scale(a, c), scale(b, s));
  axes[k] = sub(scale(b, c), scale(a, s));
  return posed(axes[0], axes[1], axes[2], centre(pose));
}

/** A point of the world in a camera's axes. */
export function toCamera(pose, point) {
  const moved = sub(point, centre(pose));
  return [0, 1, 2].map((i) => dot(axis(pose, i), moved));
}

/** A point of a camera's axes in the world. */
export const toWorld = (pose, p) =>
  [0, 1, 2].reduce((at, i) => add(at, scale(axis(pose, i), p[i])), centre(pose));

/** Inverse of a rigid pose. */
export function inverse(pose) {
  const at = centre(pose);
  return [0, 1, 2]
    .map((i) => [...axis(pose, i), -dot(axis(pose, i), at)])
    .concat([[0, 0, 0, 1]]);
}
