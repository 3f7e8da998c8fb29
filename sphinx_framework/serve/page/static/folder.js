// Scene folders that are dropped as they are: their files with paths, packed for the server.
import { zipped } from "./zip.js";

const KEPT = /\.(png|jpe?g|webp|json)$/i;
const MOST = 2000;

/** Files of a drop, with `path` below what was dropped; folders are read through. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const visit = async (entry, path) => {
    if (files.length >= MOST || entry.name.startsWith(".")) return;
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      file.path = path + entry.name;
      files.push(file);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await visit(inner, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) await visit(entry, "");
  return files;
}

/** Whether files are a scene folder rather than photos with their cameras.json beside them. */
export function isFolder(files) {
  const cameras = files.find((file) => file.name === "cameras.json");
  return files.some((file) => file.name === "transforms.json")
    || Boolean(cameras?.path && files.some((file) => folderOf(file) !== folderOf(cameras)));
}

const folderOf = (file) => (file.path ?? file.name).split("/").slice(0, -1).join("/");

/** The folder as an archive. Photos chosen one by one get the places that transforms.json names. */
export async function packed(files) {
  const kept = files.filter((file) => KEPT.test(file.name));
  const transforms = kept.find((file) => file.name === "transforms.json");
  const places = transforms && !transforms.path ? await named(transforms) : new Map();
  const entries = kept.map((file) => [file.path ?? places.get(stem(file.name)) ?? file.name, file]);
  const top = entries[0]?.[0].split("/")[0] ?? "scene";
  return zipped(entries, `${transforms?.path ? top : "scene"}.zip`);
}

const stem = (name) => name.split("/").at(-1).replace(/\.\w+$/, "");

/** From a photo's name to the path that transforms.json gives it. */
async function named(transforms) {
  const places = new Map();
  try {
    for (const { file_path: path } of JSON.parse(await transforms.text()).frames ?? []) {
      if (typeof path === "string") places.set(stem(path), path.replace(/^\.\//, ""));
    }
  } catch {
    // the server says what is wrong with it
  }
  return places;
}
