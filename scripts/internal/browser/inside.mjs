// What is asked of a page from inside. Playwright hands each of these
// functions over as text, so that none may use anything outside of itself.

// naming wants a language, a title, one heading of the first order, ids that
// are each there once, a label for every input and a name for every drawing.
export function naming() {
  const faults = [];
  if (!document.documentElement.lang) faults.push('no language');
  if (!document.title) faults.push('no title');
  const h1 = document.querySelectorAll('h1').length;
  if (h1 !== 1) faults.push(`${h1} headings of the first order`);
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) {
    if (ids.has(e.id)) faults.push(`id ${e.id} is there twice`);
    ids.add(e.id);
  }
  for (const i of document.querySelectorAll('input, select')) {
    if (![...i.labels].some((l) => l.innerText.trim()) && !i.getAttribute('aria-label')) faults.push(`input ${i.id} has no label`);
  }
  for (const s of document.querySelectorAll('svg')) {
    const named = s.querySelector(':scope > title') || s.getAttribute('aria-label') || s.getAttribute('aria-labelledby');
    if (!named && s.getAttribute('aria-hidden') !== 'true') faults.push(`a drawing without a name: ${s.outerHTML.slice(0, 60)}`);
  }
  return faults;
}

// seen numbers those of the elements that are to be seen.
export function seen(selector) {
  return [...document.querySelectorAll(selector)].flatMap((e, i) => (e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) ? [i] : []));
}

// links names the targets of links within the page, a selection if there are
// many, those without a target, and the links to files beside the page.
export function links() {
  const missing = [];
  const away = [];
  const targets = new Set();
  for (const a of document.querySelectorAll('a[href]')) {
    const href = a.getAttribute('href');
    if (!href.startsWith('#')) {
      if (!/^(data|https?|mailto):/.test(href)) away.push(href);
      continue;
    }
    const id = decodeURIComponent(href.slice(1));
    if (!document.getElementById(id)) missing.push(`${href} leads nowhere`);
    else if (a.checkVisibility()) targets.add(id);
  }
  const all = [...targets];
  const step = Math.max(1, Math.ceil(all.length / 40));
  return { missing, targets: all.filter((_, i) => i % step === 0), away };
}

// reached names those of the first hidden rows that stay hidden when a link
// leads to them.
export function reached() {
  const faults = [];
  const hidden = [...document.querySelectorAll('tr[id]')].filter((row) => !row.checkVisibility());
  for (const row of hidden.slice(0, 3)) {
    location.hash = '#' + row.id;
    if (!row.checkVisibility()) faults.push(`#${row.id} is hidden, though a link led to it`);
  }
  location.hash = '';
  return faults;
}

// clipped names text that is cut off, or that makes the whole page scroll
// sideways. What scrolls in a box of its own is whole, if scroll is set: on
// paper nothing scrolls.
export function clipped({ scroll }) {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  const styles = new Map();
  const styleOf = (e) => {
    if (!styles.has(e)) styles.set(e, getComputedStyle(e));
    return styles.get(e);
  };
  const slack = 1.5;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest('svg, style, script') || !holder.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const r = range.getBoundingClientRect();
    if (r.width === 0) continue;
    const complain = (why) => faults.push(`${why}: "${node.data.trim().slice(0, 50)}" in ${holder.tagName.toLowerCase()}.${holder.className}`);
    let inBox = false;
    for (let e = holder; e && e !== root; e = e.parentElement) {
      const s = styleOf(e);
      const b = e.getBoundingClientRect();
      if (s.position === 'absolute' && b.width <= 1 && b.height <= 1) { inBox = true; break; } // for those who listen
      const scrolls = /auto|scroll/.test(s.overflowX);
      if (scrolls && scroll) { inBox = true; break; }
      if (s.overflowX !== 'visible' && (r.left < b.left - slack || r.right > b.right + slack)) { complain('cut off at a side'); break; }
      if (s.overflowY !== 'visible' && !/auto|scroll/.test(s.overflowY) && (r.top < b.top - slack || r.bottom > b.bottom + slack)) { complain('cut off above or below'); break; }
    }
    if (!inBox && (r.left < -slack || r.right > root.clientWidth + slack)) complain(`beside the page, from ${r.left} to ${r.right}`);
  }
  return faults;
}

// covered names texts of drawings that lie outside of their drawing, on each
// other, or are too small to be read.
export function covered() {
  const faults = [];
  const slack = 1.5;
  for (const svg of document.querySelectorAll('svg')) {
    if (!svg.checkVisibility({ visibilityProperty: true })) continue;
    const box = svg.getBoundingClientRect();
    const smallest = svg.matches('.ladder') ? 5.9 : 8.5; // CSS pixels; a ladder shrinks to fit, to be seen as a whole
    const texts = [];
    for (const t of svg.querySelectorAll('text')) {
      if (!t.textContent.trim() || !t.checkVisibility({ visibilityProperty: true })) continue;
      const r = t.getBoundingClientRect();
      const what = `"${t.textContent.trim().slice(0, 50)}"`;
      if (r.width === 0) continue;
      if (r.left < box.left - slack || r.right > box.right + slack || r.top < box.top - slack || r.bottom > box.bottom + slack) {
        faults.push(`${what} lies outside of its drawing by ${Math.max(box.left - r.left, r.right - box.right, box.top - r.top, r.bottom - box.bottom).toFixed(1)}`);
      }
      const scale = Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b);
      const size = parseFloat(getComputedStyle(t).fontSize) * scale;
      if (size < smallest) faults.push(`${what} is ${size.toFixed(1)} pixels high`);
      // A line is higher than what is written in it.
      const lean = r.height * 0.2;
      texts.push({ what, left: r.left + 0.5, right: r.right - 0.5, top: r.top + lean, bottom: r.bottom - lean });
    }
    texts.sort((a, b) => a.top - b.top);
    for (let i = 0; i < texts.length; i++) {
      for (let j = i + 1; j < texts.length && texts[j].top < texts[i].bottom; j++) {
        if (texts[i].left < texts[j].right && texts[j].left < texts[i].right) faults.push(`${texts[i].what} and ${texts[j].what} lie on each other`);
      }
    }
  }
  return faults;
}

// contrast names texts that stand out less from what is behind them than WCAG
// 2.2 asks for (1.4.3, AA).
export function contrast() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const colours = new Map();
  const colour = (text) => {
    if (!colours.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      colours.set(text, [r, g, b, a / 255]);
    }
    return colours.get(text);
  };
  const over = (top, under, share = 1) => {
    const a = top[3] * share;
    return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)).concat(1);
  };
  const light = (c) => {
    const [r, g, b] = c.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);

  const faults = [];
  const dark = getComputedStyle(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches;
  const canvasColour = dark && !matchMedia('print').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  // What may be behind the text of an element: one colour, or where there is a
  // gradient each of its colours.
  const behind = new Map();
  const behindOf = (e) => {
    if (!e) return [canvasColour];
    if (!behind.has(e)) {
      const s = getComputedStyle(e);
      const plain = behindOf(e.parentElement).map((under) => over(colour(s.backgroundColor), under));
      const stops = s.backgroundImage.match(/(rgba?|color|oklch|oklab)\([^)]*\)/g) ?? [];
      if (/url\(/.test(s.backgroundImage)) faults.push(`${e.tagName.toLowerCase()}.${e.className}: a picture behind text`);
      const all = [...plain, ...stops.flatMap((stop) => plain.map((under) => over(colour(stop), under)))];
      behind.set(e, [...new Map(all.map((c) => [c.map(Math.round).join(), c])).values()]);
    }
    return behind.get(e);
  };
  const opacities = new Map();
  const opacityOf = (e) => {
    if (!e) return 1;
    if (!opacities.has(e)) opacities.set(e, parseFloat(getComputedStyle(e).opacity) * opacityOf(e.parentElement));
    return opacities.get(e);
  };
  // The shapes of a drawing that are filled, in the order in which they are
  // drawn, by the strips of the page that they reach into.
  const strip = 50;
  const shapes = new Map();
  const shapesOf = (svg) => {
    if (!shapes.has(svg)) {
      const strips = new Map();
      for (const e of svg.querySelectorAll('rect, circle, ellipse, polygon, path')) {
        const s = getComputedStyle(e);
        if (s.fill === 'none' || s.fill.startsWith('url') || e.closest('defs, clipPath, marker, pattern') || !e.checkVisibility({ visibilityProperty: true })) continue;
        const shape = { e, fill: colour(s.fill), share: parseFloat(s.fillOpacity) * opacityOf(e), r: e.getBoundingClientRect() };
        for (let n = Math.floor(shape.r.top / strip); n <= Math.floor(shape.r.bottom / strip); n++) {
          if (!strips.has(n)) strips.set(n, []);
          strips.get(n).push(shape);
        }
      }
      shapes.set(svg, strips);
    }
    return shapes.get(svg);
  };
  const judge = (what, e, text, unders, s) => {
    const size = parseFloat(s.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(s.fontWeight, 10) >= 700);
    for (const under of unders) {
      const front = over(text, under, opacityOf(e));
      const has = ratio(front, under);
      if (has >= (large ? 3 : 4.5) - 0.005) continue;
      faults.push(`${has.toFixed(2)} for "${what.trim().slice(0, 40)}" in ${e.tagName.toLowerCase()}.${e.className.baseVal ?? e.className}: ${front.slice(0, 3).map(Math.round)} on ${under.slice(0, 3).map(Math.round)}`);
    }
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('style, script, title, desc') || !e.checkVisibility({ visibilityProperty: true })) continue;
    const s = getComputedStyle(e);
    const svg = e.closest('svg');
    if (!svg) {
      judge(node.data, e, colour(s.color), behindOf(e), s);
      continue;
    }
    const r = e.getBoundingClientRect();
    const x = (r.left + r.right) / 2;
    const y = (r.top + r.bottom) / 2;
    let unders = behindOf(svg);
    for (const shape of shapesOf(svg).get(Math.floor(y / strip)) ?? []) {
      if (!(shape.e.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      if (shape.r.left <= x && x <= shape.r.right && shape.r.top <= y && y <= shape.r.bottom) {
        unders = unders.map((under) => over(shape.fill, under, shape.share));
      }
    }
    if (s.fill !== 'none') judge(node.data, e, colour(s.fill), unders, s);
  }
  for (const e of document.body.querySelectorAll('*')) {
    for (const pseudo of ['::before', '::after']) {
      const s = getComputedStyle(e, pseudo);
      if (!/^"/.test(s.content) || !/[^\s"]/.test(s.content) || s.display === 'none' || !e.checkVisibility({ visibilityProperty: true })) continue;
      judge(s.content, e, colour(s.color), behindOf(e).map((under) => over(colour(s.backgroundColor), under)), s);
    }
  }
  return faults;
}

// shown numbers what is to be seen on the screen, with all that can be opened.
export function shown({ parts }) {
  const closed = [...document.querySelectorAll('details:not([open])')];
  for (const d of closed) d.open = true;
  const all = [...document.querySelectorAll(parts)].flatMap((e, i) => (e.checkVisibility({ visibilityProperty: true }) ? [i] : []));
  for (const d of closed) d.open = false;
  return all;
}

// unprinted names what of that a reader would look for on paper in vain, but
// for what only works on a screen.
export function unprinted({ parts, screenOnly, shown }) {
  const all = [...document.querySelectorAll(parts)];
  return shown.flatMap((i) => {
    const e = all[i];
    if (e.closest(screenOnly) || !e.textContent.trim()) return [];
    if (e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0) return [];
    return [`${e.tagName.toLowerCase()}.${e.className}: "${e.textContent.trim().replace(/\s+/g, ' ').slice(0, 60)}"`];
  });
}
