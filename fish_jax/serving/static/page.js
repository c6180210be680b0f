// The page: which seed is shown is in the address; everything else follows from it and from /facts.json.

const SEEDS = 2 ** 32;
const TILES = [24, 12]; // on the wall: of the only run, or of each of several
const FRAMES = 24; // of a walk
const WALK = 2400; // milliseconds
const POLL = 5000; // milliseconds between two looks at the facts

const at = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

let runs = []; // as /facts.json tells
let figures = []; // of the stage, one for each run
let upcoming = draw(); // the seed that comes next, loaded ahead
let turn = 0; // counts what was asked for: what comes late is not shown
let walking = false;

function draw() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** What the address asks for: a seed, and whether a wall begins with it. */
function place() {
  const asked = new URLSearchParams(location.search);
  const text = asked.get("seed") ?? "";
  const seed = /^\d{1,10}$/.test(text) && Number(text) < SEEDS ? Number(text) : null;
  return { seed, wall: asked.has("wall") };
}

function go(seed, wall = false, replace = false) {
  const address = `/?seed=${seed}${wall ? "&wall" : ""}`;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  return show();
}

function tell(text) {
  if (at("status").textContent !== text) at("status").textContent = text;
}

/** A picture as an object URL; asks again where the server is busy, or has newer weights. */
async function load(path, number, wanted) {
  for (let tries = 0; tries < 20; tries++) {
    const run = runs[number];
    if (run.ready) {
      const asked = new URLSearchParams({ run: number, digest: run.digest, ...wanted });
      const answer = await fetch(`${path}?${asked}`).catch(() => null);
      if (answer?.ok) return await answer.blob();
      if (answer?.status === 404) await learn();
      else await pause(1000 * Number(answer?.headers.get("Retry-After") ?? 2));
    } else await pause(POLL);
  }
  throw new Error("the server does not answer");
}

const fish = (number, seed, view = "sample") => load("/fish.png", number, { seed, view });

async function put(image, blob, words) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  image.alt = words;
  await image.decode().catch(() => {});
  if (before) URL.revokeObjectURL(before);
}

const words = (run, seed) => `Generated image of seed ${seed}, by ${run.name}`;

function makeFigure(run, number) {
  const figure = at("figure").content.cloneNode(true).firstElementChild;
  const whole = figure.querySelector(".pictures");
  const picture = figure.querySelector(".picture");
  picture.addEventListener("click", next);
  picture.setAttribute("aria-label", `Another fish, by ${run.name}`);
  return { number, figure, whole, picture, image: picture.querySelector("img"), canvas: picture.querySelector("canvas"), rebuilt: null };
}

/** Facts that come later: the shape of images, and whether there is an autoencoder. */
function fit(own) {
  const run = runs[own.number];
  if (!run.ready) return;
  own.figure.style.setProperty("--shape", run.width / run.height);
  const [side, tallest] = runs.length > 1 ? [1, 46] : [run.views.length, 64];
  own.whole.style.maxWidth = `calc(${side} * ${tallest}vh * ${run.width / run.height})`;
  if (run.views.length > 1 && !own.rebuilt) {
    const before = document.createElement("div");
    const after = document.createElement("div");
    own.picture.replaceWith(before);
    before.append(own.picture, label("as the generator draws it"));
    const frame = document.createElement("div");
    frame.className = "picture still";
    own.rebuilt = document.createElement("img");
    frame.append(own.rebuilt);
    after.append(frame, label("after the autoencoder"));
    own.whole.classList.add("pair");
    own.whole.append(before, after);
  }
}

function label(text) {
  const line = document.createElement("p");
  line.className = "after";
  line.textContent = text;
  return line;
}

function caption(own, seed, blob) {
  const run = runs[own.number];
  const [name, facts, link] = own.figure.querySelector("figcaption").children;
  const count = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
  name.textContent = run.name;
  facts.textContent = `${run.loss}, ${count(run.epochs, "epoch")}, seed ${seed} ·`;
  facts.title = `${count(run.trained_on, "image")}, ${count(run.step, "step")}, ${count(run.parameters, "parameter")} in the generator`;
  link.href = URL.createObjectURL(blob);
  link.download = `${run.name.replaceAll(/[^\w.-]+/g, "-")}-${seed}.png`;
}

async function showFish(own, seed, mine) {
  const run = runs[own.number];
  const [blob, rebuilt] = await Promise.all([
    fish(own.number, seed),
    run.views?.length > 1 ? fish(own.number, seed, "autoencoded") : null,
  ]);
  if (mine !== turn) return;
  fit(own);
  await put(own.image, blob, words(run, seed));
  own.canvas.hidden = true;
  if (rebuilt && own.rebuilt) await put(own.rebuilt, rebuilt, `${words(run, seed)}, after the autoencoder`);
  caption(own, seed, blob);
}

function makeWall(seed, mine) {
  const each = TILES[Number(runs.length > 1)];
  const rows = runs.map((run, number) => {
    const row = document.createElement("section");
    row.className = "row";
    const title = document.createElement("h2");
    title.textContent = run.name;
    const tiles = document.createElement("div");
    tiles.className = "tiles";
    row.append(title, tiles);
    for (let index = 0; index < each; index++) tiles.append(tile(number, (seed + index) % SEEDS, mine));
    return row;
  });
  at("wall").replaceChildren(...rows);
}

function tile(number, seed, mine) {
  const [button, image] = ["button", "img"].map((name) => document.createElement(name));
  button.className = "picture";
  button.style.setProperty("--shape", (runs[number].width ?? 2) / (runs[number].height ?? 1));
  button.setAttribute("aria-label", `See seed ${seed} of ${runs[number].name}`);
  button.addEventListener("click", () => go(seed));
  button.append(image);
  fish(number, seed).then((blob) => mine === turn && put(image, blob, words(runs[number], seed)), silent);
  return button;
}

function silent() {
  tell("The server does not answer. Is it still running?");
}

/** Shows what the address asks for. */
async function show() {
  const mine = ++turn;
  const { seed, wall } = place();
  if (seed === null) return go(upcoming, wall, true);
  at("stage").hidden = wall;
  at("wall").hidden = !wall;
  at("toggle").textContent = wall ? "One fish" : "Wall of fish";
  at("toggle").setAttribute("aria-pressed", wall);
  at("next").textContent = wall ? "Other fish" : "Another fish";
  at("walk").hidden = wall;
  document.title = wall ? "These fish do not exist" : "This fish does not exist";
  document.querySelector("h1").textContent = document.title;
  if (wall) return makeWall(seed, mine);
  at("wall").replaceChildren();
  try {
    await Promise.all(figures.map((own) => showFish(own, seed, mine)));
    if (mine === turn) ahead();
  } catch {
    if (mine === turn) silent();
  }
}

/** Has the browser's cache hold the next fish before it is asked for. */
function ahead() {
  if (upcoming === place().seed) upcoming = draw();
  figures.filter((own) => runs[own.number].ready).forEach((own) => fish(own.number, upcoming).catch(() => {}));
}

function next() {
  if (walking) return;
  const { wall } = place();
  const seed = wall ? draw() : upcoming;
  upcoming = draw();
  return go(seed, wall);
}

/** Plays the way from this fish to the next one, and stays there. */
async function walk() {
  const { seed, wall } = place();
  if (walking || wall) return;
  walking = true;
  at("walk").disabled = at("next").disabled = true;
  const [mine, end] = [turn, upcoming];
  try {
    if (!still.matches) {
      const ready = figures.filter((own) => runs[own.number].ready);
      const sheets = await Promise.all(ready.map((own) => sheet(own, seed, end)));
      if (mine === turn) await play(ready, sheets, mine);
    }
    upcoming = draw();
    if (mine === turn) await go(end);
  } catch {
    silent();
  } finally {
    walking = false;
    at("walk").disabled = at("next").disabled = false;
    figures.forEach((own) => (own.canvas.hidden = true));
  }
}

async function sheet(own, start, end) {
  return createImageBitmap(await load("/walk.webp", own.number, { start, end, frames: FRAMES }));
}

function play(shown, sheets, mine) {
  const contexts = shown.map((own, index) => {
    own.canvas.width = sheets[index].width;
    own.canvas.height = sheets[index].height / FRAMES;
    own.canvas.hidden = false;
    return own.canvas.getContext("2d");
  });
  return new Promise((done) => {
    let began;
    const frame = (now) => {
      began ??= now;
      const part = Math.min((now - began) / WALK, 1);
      const eased = (1 - Math.cos(Math.PI * part)) / 2;
      contexts.forEach((context, index) => paint(context, sheets[index], eased * (FRAMES - 1)));
      if (part < 1 && mine === turn) requestAnimationFrame(frame);
      else done();
    };
    requestAnimationFrame(frame);
  });
}

/** A frame, and over it as much of the one after it as time has passed. */
function paint(context, bitmap, time) {
  const { width, height } = context.canvas;
  const first = Math.floor(time);
  [[first, 1], [Math.min(first + 1, FRAMES - 1), time - first]].forEach(([index, alpha]) => {
    context.globalAlpha = alpha;
    context.drawImage(bitmap, 0, index * height, width, height, 0, 0, width, height);
  });
}

async function copy() {
  await navigator.clipboard.writeText(location.href).then(
    () => tell("Link copied."),
    () => tell(`Copy this: ${location.href}`),
  );
}

/** Reads the facts; whether any run has newer weights than before. */
async function learn() {
  const answer = await fetch("/facts.json").catch(() => null);
  if (!answer?.ok) {
    silent();
    return false;
  }
  const before = runs;
  runs = (await answer.json()).runs;
  const waits = runs.filter((run) => !run.ready).map((run) => run.name);
  tell(waits.length ? `${waits.join(", ")}: no checkpoint yet. The first fish appears as soon as there is one.` : "");
  if (!figures.length) {
    figures = runs.map(makeFigure);
    figures.forEach(fit);
    at("stage").classList.toggle("single", runs.length === 1);
    at("stage").replaceChildren(...figures.map((own) => own.figure));
    at("controls").hidden = at("keys").hidden = false;
  }
  return runs.some((run, index) => run.digest !== before[index]?.digest);
}

async function follow() {
  for (;;) {
    await pause(POLL);
    if (document.hidden || walking) continue;
    if (await learn() && !place().wall) await show();
  }
}

const keys = { " ": next, ArrowRight: next, ArrowLeft: () => history.back(), w: walk, f: toggle, c: copy };

function toggle() {
  const { seed, wall } = place();
  return go(seed, !wall);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const pressing = event.target.closest("button, a") && !event.target.classList.contains("picture");
  if (event.key === " " && pressing) return; // which presses that button
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
at("next").addEventListener("click", next);
at("walk").addEventListener("click", walk);
at("toggle").addEventListener("click", toggle);
at("link").addEventListener("click", copy);
addEventListener("popstate", show);

await learn();
if (runs.length) show();
follow();
