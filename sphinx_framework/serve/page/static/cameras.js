// A `cameras.json` of the user's, as the server reads it, for the 3-D view. The server checks it
// again and completely; what cannot be shown here is said in words.
import { inverse } from "./vec.js";

const CONVENTIONS = ["opencv_c2w", "opengl_c2w", "opencv_w2c", "opengl_w2c"];

/** `{inputs: [{pose, intrinsics, width, height, file}], targets, near, far}`; raises Error. */
export function readCameras(text) {
  let top;
  try {
    top = JSON.parse(text);
  } catch {
    throw new Error("it is not JSON");
  }
  if (!top || !Array.isArray(top.inputs) || !top.inputs.length) throw new Error("it has no 'inputs'");
  if (!CONVENTIONS.includes(top.convention)) {
    throw new Error(`'convention' must be one of ${CONVENTIONS.join(", ")}`);
  }
  const read = (list, what, like) => list.map((entry, i) => camera(entry, `${what}[${i}]`, top.convention, like));
  const inputs = read(top.inputs, "inputs");
  const targets = Array.isArray(top.targets) ? read(top.targets, "targets", inputs[0]) : [];
  return { inputs, targets, near: top.near ?? null, far: top.far ?? null };
}

function camera(entry, where, convention, like) {
  const pose = toOpencv(matrix(entry?.pose, where), convention);
  if (entry.intrinsics === undefined && like) return { ...like, pose };
  const given = entry.intrinsics;
  const [fx, fy, cx, cy] = Array.isArray(given)
    ? [given[0]?.[0], given[1]?.[1], given[0]?.[2], given[1]?.[2]]
    : ["fx", "fy", "cx", "cy"].map((key) => given?.[key]);
  if (![fx, fy, cx, cy].every(Number.isFinite) || fx <= 0 || fy <= 0) {
    throw new Error(`${where}, 'intrinsics' must have numbers fx, fy, cx, cy`);
  }
  // Normalised intrinsics are of an image of 1 x 1; else the size is stated, or twice the centre.
  const normalised = cx <= 1 && cy <= 1;
  const width = normalised ? 1 : entry.width ?? 2 * cx;
  const height = normalised ? 1 : entry.height ?? 2 * cy;
  return { pose, intrinsics: { fx, fy, cx, cy }, width, height, file: entry.file };
}

function matrix(rows, where) {
  const fits = Array.isArray(rows) && (rows.length === 3 || rows.length === 4)
    && rows.every((row) => Array.isArray(row) && row.length === 4 && row.every(Number.isFinite));
  if (!fits) throw new Error(`${where}, 'pose' must be 4 (or 3) rows of 4 numbers`);
  return rows.length === 4 ? rows : [...rows, [0, 0, 0, 1]];
}

function toOpencv(pose, convention) {
  const world = convention.endsWith("w2c") ? null : pose;
  const flip = convention.startsWith("opengl");
  // OpenGL cameras look along -z with y up: of camera-to-world, columns 1 and 2 change sign.
  if (world) return flip ? world.map((row) => [row[0], -row[1], -row[2], row[3]]) : world;
  const opencv = flip ? pose.map((row, i) => (i === 1 || i === 2 ? row.map((v) => -v) : row)) : pose;
  return inverse(opencv);
}
