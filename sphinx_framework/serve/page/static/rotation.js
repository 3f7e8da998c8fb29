// Rotations as quaternions [w, x, y, z], for paths between cameras.
import { dot, scale, add, unit } from "./vec.js";

/** Quaternion of a pose's rotation. */
export function quaternion(m) {
  const trace = m[0][0] + m[1][1] + m[2][2];
  if (trace > 0) {
    const s = 2 * Math.sqrt(trace + 1);
    return [s / 4, (m[2][1] - m[1][2]) / s, (m[0][2] - m[2][0]) / s, (m[1][0] - m[0][1]) / s];
  }
  const i = [0, 1, 2].reduce((best, k) => (m[k][k] > m[best][best] ? k : best), 0);
  const [j, k] = [(i + 1) % 3, (i + 2) % 3];
  const s = 2 * Math.sqrt(1 + m[i][i] - m[j][j] - m[k][k]);
  const q = [(m[k][j] - m[j][k]) / s, 0, 0, 0];
  q[1 + i] = s / 4;
  q[1 + j] = (m[j][i] + m[i][j]) / s;
  q[1 + k] = (m[k][i] + m[i][k]) / s;
  return q;
}

/** Pose of a quaternion, which need not be of unit length, and a centre. */
export function poseOf(q, at) {
  const [w, x, y, z] = unit(q);
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), at[0]],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), at[1]],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), at[2]],
    [0, 0, 0, 1],
  ];
}

/** The shorter great arc between two rotations. */
export function slerp(a, b, t) {
  const cosine = dot(a, b);
  const end = cosine < 0 ? scale(b, -1) : b;
  const angle = Math.acos(Math.min(1, Math.abs(cosine)));
  if (angle < 1e-6) return unit(add(scale(a, 1 - t), scale(end, t)));
  const sine = Math.sin(angle);
  return add(scale(a, Math.sin((1 - t) * angle) / sine), scale(end, Math.sin(t * angle) / sine));
}

/** Signs flipped so that neighbours are less than half a turn apart. */
export function aligned(quaternions) {
  const out = [quaternions[0]];
  for (const q of quaternions.slice(1)) out.push(dot(q, out.at(-1)) < 0 ? scale(q, -1) : q);
  return out;
}
