// The page: which seed is shown is in the address; everything else follows from it and from
// facts.json. Addresses are relative: a web server in front may put all of them under a prefix.

const SEEDS = 2 ** 32;
const TILES = [24, 12]; // on the wall: of the only run, or of each of several
const FRAMES = 24; // of a walk, at most
const HIGHEST = 16_383; // pixels of a walk's column of frames
const WALK = 2400; // milliseconds
const POLL = 4000; // milliseconds between two looks at the facts

const at = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let runs = []; // as facts.json tells
let figures = []; // of the stage, one for each run
let tiles = []; // of the wall
let asked = new AbortController(); // of what is being loaded for this address
let upcoming = draw(); // the seed that comes next, loaded ahead
let walking = false;

function draw() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

// --- addresses

/** What the address asks for: a seed, and whether a wall begins with it. */
function place() {
  const parameters = new URLSearchParams(location.search);
  const text = parameters.get("seed") ?? "";
  const seed = /^\d{1,10}$/.test(text) && Number(text) < SEEDS ? Number(text) : null;
  return { seed, wall: parameters.has("wall") };
}

function go(seed, wall = false) {
  const depth = (history.state?.depth ?? 0) + 1; // how far one may go back without leaving
  history.pushState({ depth }, "", `?seed=${seed}${wall ? "&wall" : ""}`);
  show();
}

function back() {
  if (history.state?.depth) history.back();
}

/** The seed that comes next: never the one that is shown. */
function following() {
  while (upcoming === place().seed) upcoming = draw();
  return upcoming;
}

function next() {
  if (!walking) go(place().wall ? draw() : following(), place().wall);
}

// --- what the server tells

let state = ""; // what stays to be said
function tell(text, milliseconds = 0) {
  if (!milliseconds) state = text;
  if (at("status").textContent !== text) at("status").textContent = text;
  if (milliseconds) setTimeout(() => at("status").textContent === text && tell(state), milliseconds);
}

const unreachable = () => tell("The server does not answer. Is it still running?");

/** Reads the facts; the first time, makes a figure for each run and shows what is asked for. */
async function learn() {
  const told = await fetch("facts.json")
    .then((answer) => (answer.ok ? answer.json() : null))
    .catch(() => null);
  if (!told) return unreachable();
  if (figures.length && told.runs.length !== figures.length) return location.reload();
  runs = told.runs;
  document.body.classList.toggle("alpha", runs.some((run) => run.channels === 4));
  const waits = runs.filter((run) => !run.ready).map((run) => run.name);
  const text = waits.length ? `${waits.join(", ")}: no checkpoint yet. The first fish appears as soon as there is one.` : "";
  if (state !== text) tell(text);
  if (figures.length) return;
  figures = runs.map((_, number) => makeFigure(number));
  at("stage").classList.toggle("single", runs.length === 1);
  at("stage").replaceChildren(...figures.map((own) => own.figure));
  at("controls").hidden = at("keys").hidden = false;
  show();
}

/** A file of the newest weights; asks again where the server is busy, or has newer ones. */
async function load(path, number, wanted, signal) {
  for (let tries = 0; tries < 10; tries++) {
    const { digest } = runs[number];
    const query = new URLSearchParams({ run: number, digest, ...wanted });
    const answer = await fetch(`${path}?${query}`, { signal });
    if (answer.ok) return { blob: await answer.blob(), digest };
    if (answer.status === 404) await learn();
    else if (answer.status === 503) await pause(1000 * Number(answer.headers.get("Retry-After") ?? 2));
    else break;
    signal?.throwIfAborted();
  }
  throw new Error("no picture");
}

const fish = (number, seed, signal, view = "sample") => load("fish.png", number, { seed, view }, signal);

// --- pictures

/** Shows a blob in an image; its URL is given back when the next one takes its place. */
async function put(image, blob, words) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  image.alt = words;
  await image.decode().catch(() => {});
  if (before) URL.revokeObjectURL(before);
}

const words = (run, seed) => `Generated image of seed ${seed}, by ${run.name}`;

function makeFigure(number) {
  const figure = at("figure").content.cloneNode(true).firstElementChild;
  const [picture, image, canvas] = [".picture", "img", "canvas"].map((name) => figure.querySelector(name));
  picture.addEventListener("click", next);
  figure.querySelector("figcaption b").textContent = runs[number].name;
  return { number, figure, picture, image, canvas, rebuilt: null, shown: "" };
}

/** Gives a figure the shape of its images, and a second picture where there is an autoencoder. */
function fit(own) {
  const run = runs[own.number];
  const shape = run.width / run.height;
  const pictures = own.figure.querySelector(".pictures");
  const [side, tallest] = runs.length > 1 ? [1, 46] : [run.views.length, 56];
  own.figure.style.setProperty("--shape", shape);
  pictures.style.maxWidth = `calc(${side} * ${tallest}vh * ${shape})`;
  if (run.views.length < 2 || own.rebuilt) return;
  const after = at("after").content.cloneNode(true);
  own.rebuilt = after.querySelector("img");
  pictures.classList.add("pair");
  pictures.append(after);
  pictures.firstElementChild.querySelector(".view").hidden = false;
}

function caption(own, seed) {
  const run = runs[own.number];
  const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
  const part = (name) => own.figure.querySelector(`figcaption ${name}`);
  part(".seed").textContent = `${run.loss}, ${count(run.epochs, "epoch")}, seed ${seed} ·`;
  part(".facts").textContent = [count(run.trained_on, "training image"), count(run.step, "step"), count(run.parameters, "parameter")].join(", ");
  part("a").href = own.image.src;
  part("a").download = `${run.name.replaceAll(/[^\w.-]+/g, "-")}-${seed}.png`;
  part("a").setAttribute("aria-label", `Download seed ${seed} of ${run.name}`);
}

async function showFish(own, seed, signal) {
  const run = runs[own.number];
  if (!run.ready) return;
  const both = run.views.map((view) => fish(own.number, seed, signal, view));
  const [sample, rebuilt] = await Promise.all(both);
  signal.throwIfAborted();
  fit(own);
  own.shown = sample.digest;
  const pairs = [[own.image, sample, ""], [own.rebuilt, rebuilt, ", after the autoencoder"]].filter((pair) => pair[1]);
  await Promise.all(pairs.map(([image, { blob }, more]) => put(image, blob, words(run, seed) + more)));
  if (signal.aborted) return;
  own.canvas.hidden = true;
  caption(own, seed);
}

function makeWall(seed) {
  const each = TILES[Number(runs.length > 1)];
  tiles = [];
  const rows = runs.map((run, number) => {
    const row = at("row").content.cloneNode(true).firstElementChild;
    row.querySelector("h2").textContent = run.name;
    for (let index = 0; index < each; index++) {
      const tile = makeTile(number, (seed + index) % SEEDS);
      tiles.push(tile);
      row.querySelector(".tiles").append(tile.button);
    }
    return row;
  });
  at("wall").replaceChildren(...rows);
}

function makeTile(number, seed) {
  const button = at("tile").content.cloneNode(true).firstElementChild;
  const image = button.querySelector("img");
  button.addEventListener("click", () => {
    go(seed);
    figures[number].picture.focus({ focusVisible: false });
  });
  return { number, seed, button, image, shown: "" };
}

async function showTile(tile, signal) {
  const run = runs[tile.number];
  if (!run.ready) return;
  const { blob, digest } = await fish(tile.number, tile.seed, signal);
  tile.button.style.setProperty("--shape", run.width / run.height);
  tile.shown = digest;
  await put(tile.image, blob, words(run, tile.seed));
}

function forget(made) {
  made.forEach((tile) => tile.image.src && URL.revokeObjectURL(tile.image.src));
}

// --- what is shown

/** Shows what the address asks for, and stops what was loading for another one. */
function show() {
  const { seed, wall } = place();
  if (seed === null) {
    history.replaceState(history.state, "", `?seed=${following()}${wall ? "&wall" : ""}`);
    return show();
  }
  asked.abort();
  asked = new AbortController();
  at("stage").hidden = wall;
  at("wall").hidden = !wall;
  at("toggle").textContent = wall ? "One fish" : "Wall of fish";
  at("next").textContent = wall ? "Other fish" : "Another fish";
  at("walk").hidden = wall;
  document.title = wall ? "These fish do not exist" : "This fish does not exist";
  document.querySelector("h1").textContent = document.title;
  forget(tiles);
  tiles = [];
  at("wall").replaceChildren();
  if (wall) makeWall(seed);
  else at("said").textContent = `Seed ${seed}`;
  fill([...(wall ? tiles : figures)]);
}

/** Loads pictures for their places; then, so that it is there at once, the next fish. */
async function fill(places) {
  const { seed, wall } = place();
  const { signal } = asked;
  const loads = places.map((own) => (wall ? showTile(own, signal) : showFish(own, seed, signal)));
  try {
    await Promise.all(loads);
    if (wall || signal.aborted) return;
    const end = following();
    const ready = figures.filter((own) => runs[own.number].ready);
    await Promise.all(ready.map((own) => fish(own.number, end, signal)));
  } catch {
    if (!signal.aborted) unreachable();
  }
}

/** Looks for newer weights as long as the page is open, and shows them. */
async function follow() {
  for (;;) {
    await pause(POLL);
    if (document.hidden || walking) continue;
    await learn();
    const isOld = (own) => runs[own.number].ready && own.shown !== runs[own.number].digest;
    const old = (place().wall ? tiles : figures).filter(isOld);
    if (old.length && !walking) fill(old);
  }
}

// --- the walk

/** Plays the way from this fish to the next one, and stays there. */
async function walk() {
  const { seed } = place();
  const [end, { signal }] = [following(), asked];
  const ready = figures.filter((own) => runs[own.number].ready);
  if (walking || !ready.length) return;
  walking = true;
  at("walk").ariaDisabled = at("next").ariaDisabled = "true";
  try {
    const sheets = calm.matches ? [] : await Promise.all(ready.map((own) => sheet(own, seed, end, signal)));
    if (sheets.length) await play(sheets, signal);
    if (!signal.aborted) go(end); // whose pictures take the place of the last frames
  } catch {
    if (!signal.aborted) unreachable();
  } finally {
    walking = false;
    at("walk").ariaDisabled = at("next").ariaDisabled = null;
    if (signal.aborted && place().seed !== end) ready.forEach((own) => (own.canvas.hidden = true));
  }
}

async function sheet(own, start, end, signal) {
  const frames = Math.min(FRAMES, Math.floor(HIGHEST / runs[own.number].height));
  const { blob } = await load("walk.webp", own.number, { start, end, frames }, signal);
  return { own, frames, bitmap: await createImageBitmap(blob) };
}

function play(sheets, signal) {
  for (const { own, frames, bitmap } of sheets) {
    own.canvas.width = bitmap.width;
    own.canvas.height = bitmap.height / frames;
    own.canvas.hidden = false;
  }
  return new Promise((done) => {
    let began;
    const frame = (now) => {
      began ??= now;
      const part = Math.min((now - began) / WALK, 1);
      sheets.forEach((each) => paint(each, (1 - Math.cos(Math.PI * part)) / 2));
      if (part < 1 && !signal.aborted) return requestAnimationFrame(frame);
      sheets.forEach(({ bitmap }) => bitmap.close());
      done();
    };
    requestAnimationFrame(frame);
  });
}

/** A frame, and over it as much of the one after it as there is to go. */
function paint({ own, frames, bitmap }, part) {
  const context = own.canvas.getContext("2d");
  const { width, height } = own.canvas;
  const time = part * (frames - 1);
  const first = Math.floor(time);
  for (const [index, alpha] of [[first, 1], [Math.min(first + 1, frames - 1), time - first]]) {
    context.globalAlpha = alpha;
    context.drawImage(bitmap, 0, index * height, width, height, 0, 0, width, height);
  }
}

// --- the rest

async function copy() {
  try {
    await navigator.clipboard.writeText(location.href);
    tell("Link copied.", 4000);
  } catch {
    tell(`Copy this: ${location.href}`, 30_000); // over plain HTTP from another machine
  }
}

const keys = { " ": next, ArrowRight: next, ArrowLeft: back };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !(event.key in keys)) return;
  if (event.key === " " && event.target.closest("button, a")) return; // which it presses
  event.preventDefault();
  keys[event.key]();
});
at("next").addEventListener("click", next);
at("walk").addEventListener("click", walk);
at("toggle").addEventListener("click", () => go(place().seed, !place().wall));
at("link").addEventListener("click", copy);
addEventListener("popstate", show);

await learn();
follow();
