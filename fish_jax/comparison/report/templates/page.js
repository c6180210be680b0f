"use strict";
document.documentElement.classList.add("script");
// Numbers under the pointer: read back from the paths, through the scales that each plot carries.
const tip = document.getElementById("tip");
const value = (pixel, [low, high, start, end, log]) => {
  const share = (pixel - start) / (end - start);
  return log ? low * (high / low) ** share : low + share * (high - low);
};
const short = (number) => Number(number.toPrecision(3)).toLocaleString("en-GB", { maximumSignificantDigits: 3 });
for (const plot of document.querySelectorAll(".plot")) {
  const svg = plot.ownerSVGElement;
  const numbers = plot.dataset.scales.split(" ").map(Number);
  const [x, y] = [numbers.slice(0, 5), numbers.slice(5)];
  const lines = [...plot.querySelectorAll("g:not(.read) > .line")].map((line) => ({
    name: line.dataset.name,
    points: [...line.getAttribute("d").matchAll(/[ML]([-\d.]+) ([-\d.]+)/g)].map((m) => [Number(m[1]), Number(m[2])]),
  }));
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (at.y < y[3] - 14 || at.y > y[2] + 14) return;
    const near = lines.filter((line) => line.points.length).map((line) => {
      const nearest = line.points.reduce((a, b) => (Math.abs(b[0] - at.x) < Math.abs(a[0] - at.x) ? b : a));
      return { name: line.name, x: nearest[0], y: nearest[1] };
    });
    if (!near.length) return;
    near.sort((a, b) => a.y - b.y);
    const rows = near.map((one) => `${one.name}  ${short(value(one.y, y))}`);
    tip.textContent = [`${short(value(near[0].x, x))} ${plot.dataset.across}`, ...rows].join("\n");
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  svg.addEventListener("pointerleave", () => { tip.style.display = "none"; });
}

// Both choices of a seed go together.
for (const input of document.querySelectorAll(".choice > input")) {
  input.addEventListener("change", () => {
    for (const other of document.querySelectorAll(".choice > input")) other.checked = other.value === input.value;
  });
}

// One of many: the others fade while the pointer is on its name.
document.querySelectorAll(".keys li").forEach((item, place) => {
  const fade = (on) => {
    for (const group of document.querySelectorAll('[class*="loss-"]')) {
      if (!group.classList.contains(`loss-${place}`)) group.classList.toggle("dim", on);
    }
  };
  item.tabIndex = 0;
  for (const name of ["pointerenter", "focus"]) item.addEventListener(name, () => fade(true));
  for (const name of ["pointerleave", "blur"]) item.addEventListener(name, () => fade(false));
});

// Pictures larger, and through the epochs.
const viewer = document.getElementById("viewer");
const [large, range, told] = ["img", "input", "output"].map((name) => viewer.querySelector(name));
const pictures = [...document.querySelectorAll(".grids img")];
let shown = [];
const show = () => {
  const picture = shown[Number(range.value)];
  large.src = picture.src;
  large.alt = picture.alt;
  large.className = picture.className;
  told.textContent = `${picture.dataset.loss}, seed ${picture.dataset.seed}, epoch ${picture.dataset.epoch}`;
};
const open = (picture) => {
  shown = pictures.filter((p) => p.dataset.loss === picture.dataset.loss && p.dataset.seed === picture.dataset.seed);
  range.max = String(shown.length - 1);
  range.value = String(shown.indexOf(picture));
  range.parentElement.hidden = shown.length < 2;
  show();
  viewer.showModal();
};
for (const picture of pictures) {
  picture.tabIndex = 0;
  picture.setAttribute("role", "button");
  picture.addEventListener("click", () => open(picture));
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(picture); }
  });
}
range.addEventListener("input", show);
viewer.querySelector("button").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
