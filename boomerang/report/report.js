"use strict";
for (const form of document.querySelectorAll("form.costs")) {
  const counts = JSON.parse(form.dataset.counts);
  const steps = counts.hits.length - 1;
  const total = counts.n_returned + counts.n_kept;
  const show = (name, value) => { form.elements[name].value = value; };
  const money = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
  const read = (name) => (form.elements[name].value === "" ? NaN : Number(form.elements[name].value));
  const update = () => {
    const missed = read("missed"), needless = read("needless");
    const usable = Number.isFinite(missed + needless) && missed >= 0 && needless >= 0 && missed + needless > 0;
    form.querySelector(".advice").classList.toggle("invalid", !usable);
    if (!usable) {
      for (const output of form.querySelectorAll("output")) output.value = "?";
      show("meaning", "");
      return;
    }
    const largest = Math.max(missed, needless);
    // The same formula and rounding as predict.py --cost_missed --cost_needless.
    const share = needless / largest / (missed / largest + needless / largest);
    const step = Math.floor(share * steps + 0.5);
    const hits = counts.hits[step], alarms = counts.false_alarms[step];
    const misses = counts.n_returned - hits;
    const perThousand = (nMissed, nNeedless) => money((1000 * (nMissed * missed + nNeedless * needless)) / total);
    show("threshold", (step / steps).toFixed(3));
    show("meaning", step === 0 ? ", which is on every purchase" : step === steps ? ", which is on none" : "");
    show("cost", perThousand(misses, alarms));
    show("never", perThousand(counts.n_returned, 0));
    show("always", perThousand(0, counts.n_kept));
    show("hits", hits.toLocaleString("en"));
    show("false_alarms", alarms.toLocaleString("en"));
    show("misses", misses.toLocaleString("en"));
    show("right", (counts.n_kept - alarms).toLocaleString("en"));
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}
