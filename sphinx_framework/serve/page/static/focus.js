// What a set of cameras looks at, and which way is up; the same rules as the server's paths.
import { add, axis, centre, cross, dot, mean, norm, scale, sub, unit } from "./vec.js";

const PARALLEL = 1e-3;

/** World direction of the image's upward axis, averaged. */
export function meanUp(poses) {
  const ups = poses.map((pose) => scale(axis(pose, 1), -1));
  return unit(mean(ups), ups[0]);
}

/** The point that the cameras look at; with parallel axes, a point ahead of their mean. */
export function focusPoint(poses, near, far) {
  const centres = poses.map(centre);
  const forward = poses.map((pose) => axis(pose, 2));
  const met = meeting(centres, forward);
  if (met && centres.every((at, i) => dot(sub(met, at), forward[i]) > 0)) return met;
  let spacing = 0;
  for (const a of centres) for (const b of centres) spacing = Math.max(spacing, norm(sub(a, b)));
  let distance = spacing > 0 ? 4 * spacing : 1;
  if (near != null && far != null) distance = 1 / (0.75 / near + 0.25 / far);
  return add(mean(centres), scale(unit(mean(forward), forward[0]), distance));
}

/** Least-squares meeting point of lines, or null where they are almost parallel. */
function meeting(centres, directions) {
  const across = directions.map((d) =>
    d.map((v, i) => d.map((u, j) => (i === j ? 1 : 0) - v * u)));
  const matrix = [0, 1, 2].map((i) => mean(across.map((m) => m[i])));
  if (smallestEigenvalue(matrix) <= PARALLEL) return null;
  const moments = mean(across.map((m, n) => m.map((row) => dot(row, centres[n]))));
  const columns = [0, 1, 2].map((j) => matrix.map((row) => row[j]));
  const determinant = dot(columns[0], cross(columns[1], columns[2]));
  return [0, 1, 2].map((i) => {
    const swapped = columns.map((column, j) => (i === j ? moments : column));
    return dot(swapped[0], cross(swapped[1], swapped[2])) / determinant;
  });
}

/** Of a symmetric 3x3 matrix, in closed form. */
function smallestEigenvalue(m) {
  const third = (m[0][0] + m[1][1] + m[2][2]) / 3;
  const off = m[0][1] ** 2 + m[0][2] ** 2 + m[1][2] ** 2;
  const spread = [0, 1, 2].reduce((sum, i) => sum + (m[i][i] - third) ** 2, 0) + 2 * off;
  const p = Math.sqrt(spread / 6);
  if (p < 1e-12) return third;
  const b = m.map((row, i) => row.map((v, j) => (v - (i === j ? third : 0)) / p));
  const half = dot(b[0], cross(b[1], b[2])) / 2;
  const angle = Math.acos(Math.max(-1, Math.min(1, half))) / 3;
  return third + 2 * p * Math.cos(angle + (2 * Math.PI) / 3);
}
