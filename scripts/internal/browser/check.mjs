// Opens pages in a headless Chromium, does with them what a reader does, and
// writes a line of JSON a check: {"page", "check", "ok", "detail"}.
//
//	node check.mjs <<<'[{"name": "crash", "file": "/tmp/crash.html", "controls": true}]'
//
// With "controls" the page must have drawings to switch between, and filters.
// With SCREENSHOTS=DIR pictures of the pages are left there. The exit status is
// 0 whatever the checks say, 1 if they could not be made.
import { readFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

import { clipped, covered, contrast, links, naming, reached, seen, shown, unprinted } from './inside.mjs';

const widths = [360, 800, 1600];
const height = 900;
const paper = 718; // of A4 within the margins that browsers leave, in CSS pixels
// What of a page is on paper if it is on the screen, and what is not.
const parts = 'h1, h2, h3, p, tr, dt, dd, li, pre, summary';
const screenOnly = 'nav, form, fieldset, .contents, .screen';
const screenshots = process.env.SCREENSHOTS;

const pages = JSON.parse(readFileSync(0, 'utf8'));
if (screenshots) mkdirSync(screenshots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND',
  ],
});
try {
  const queue = [...pages];
  const some = async () => { for (let p = queue.shift(); p; p = queue.shift()) await look(p); };
  await Promise.all([some(), some()]); // two pages at a time
} finally {
  await browser.close();
}

// look makes every check of a page.
async function look({ name, file, controls }) {
  const say = (check, faults, detail = '') => {
    const list = [...new Set(faults)];
    const more = list.length > 12 ? `\n(and ${list.length - 12} more)` : '';
    console.log(JSON.stringify({ page: name, check, ok: list.length === 0, detail: list.slice(0, 12).join('\n') + more || detail }));
  };
  const url = pathToFileURL(file).href;
  const noises = [];
  const requests = [];
  const open = async (options) => {
    const context = await browser.newContext({ viewport: { width: 800, height }, ...options });
    await context.route('**/*', (route) => {
      const asked = route.request().url();
      if (asked.split('#')[0] === url) return route.continue();
      requests.push(asked);
      return route.abort();
    });
    const page = await context.newPage();
    page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) noises.push(`${m.type()}: ${m.text()}`); });
    page.on('pageerror', (e) => noises.push(`exception: ${e.message}`));
    page.on('dialog', (d) => { noises.push(`dialog: ${d.message()}`); d.dismiss(); });
    page.on('request', (r) => { const u = r.url(); if (u.split('#')[0] !== url && !u.startsWith('data:')) requests.push(u); });
    await page.goto(url);
    return page;
  };

  const page = await open({ colorScheme: 'light' });

  // Its scripts switched off, a page must say the same.
  const plain = await open({ javaScriptEnabled: false });
  const [text, without] = [await page.innerText('body'), await plain.innerText('body')];
  say('readable without scripts', text === without && text.trim() !== '' ? [] : ['the text is another, or none'], `${text.length} characters`);
  await plain.context().close();

  say('names', await page.evaluate(naming));

  for (const width of widths) {
    await page.setViewportSize({ width, height });
    say(`fits ${width}`, await page.evaluate(clipped, { scroll: true }));
    say(`drawings at ${width}`, await page.evaluate(covered));
    if (screenshots) await picture(page, `${name}-${width}`);
  }
  await page.setViewportSize({ width: 800, height });

  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    say(`contrast ${scheme}`, await page.evaluate(contrast));
    if (screenshots && scheme === 'dark') await picture(page, `${name}-dark`);
  }
  await page.emulateMedia({ colorScheme: 'light' });

  const { missing, targets, away } = await page.evaluate(links);
  say('links have targets', [...missing, ...away.filter((href) => !existsSync(resolve(dirname(fileURLToPath(url)), decodeURIComponent(href.split('#')[0]))))]);
  say('links land', await land(page, targets), `${targets.length} tried`);

  say('switches', await switches(page, controls));
  say('filters', await filters(page, controls));

  const onScreen = await page.evaluate(shown, { parts });
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' }); // paper is white all the same
  await page.setViewportSize({ width: paper, height });
  say('print shows all', await page.evaluate(unprinted, { parts, screenOnly, shown: onScreen }));
  say('print fits', await page.evaluate(clipped, { scroll: false }));
  say('print contrast', await page.evaluate(contrast));
  if (screenshots) await picture(page, `${name}-print`);

  say('no request', requests);
  say('quiet', noises);
  await page.context().close();
}

// land follows links and tells which do not lead to where they say.
async function land(page, targets) {
  const faults = [];
  for (const id of targets) {
    const at = await page.evaluate((id) => {
      location.hash = '';
      scrollTo(0, 0);
      location.hash = '#' + id;
      const r = document.getElementById(id).getBoundingClientRect();
      return { top: r.top, bottom: r.bottom, high: innerHeight, shown: r.width > 0 || r.height > 0 };
    }, id);
    if (!at.shown) faults.push(`#${id} is not shown`);
    else if (at.bottom < 0 || at.top > at.high) faults.push(`#${id} is at ${at.top}, outside of the window`);
  }
  await page.evaluate(() => { location.hash = ''; });
  return faults;
}

// switches tries every radio button: each must show something that no other of
// its group shows, and all of that must be readable.
async function switches(page, wanted) {
  const groups = await page.evaluate(() => {
    const groups = {};
    for (const i of document.querySelectorAll('input[type=radio]')) (groups[i.name] ??= []).push(i.id);
    return groups;
  });
  const faults = [];
  if (wanted && Object.keys(groups).length === 0) faults.push('there is none');
  for (const [name, ids] of Object.entries(groups)) {
    const shows = [];
    for (const id of ids) {
      await press(page, id);
      faults.push(...(await page.evaluate(covered)).map((fault) => `with ${id}: ${fault}`));
      const drawn = await page.evaluate(seen, 'svg');
      if (shows.includes(drawn.join())) faults.push(`${name}: ${id} shows no other drawing`);
      shows.push(drawn.join());
    }
    await press(page, ids[0]);
  }
  return faults;
}

// filters tries every checkbox: alone of its group it must show rows that are
// not there without any, and all together must show what they did. A row that
// is hidden is shown when a link leads to it.
async function filters(page, wanted) {
  const groups = await page.evaluate(() => {
    const groups = new Map();
    for (const i of document.querySelectorAll('input[type=checkbox]')) {
      const group = i.closest('fieldset') ?? document.body;
      groups.set(group, [...(groups.get(group) ?? []), i.id]);
    }
    return [...groups.values()];
  });
  const faults = wanted && groups.length === 0 ? ['there is none'] : [];
  const rows = async () => (await page.evaluate(seen, 'tr')).length;
  const before = await rows();
  for (const ids of groups) {
    for (const id of ids) await press(page, id);
    const none = await rows();
    for (const id of ids) {
      await press(page, id);
      const some = await rows();
      if (some <= none) faults.push(`${id}: ${none} rows without it, ${some} with it`);
      await press(page, id);
    }
    faults.push(...await page.evaluate(reached));
    for (const id of ids) await press(page, id);
    const after = await rows();
    if (after !== before || none >= before) faults.push(`${ids}: ${before} rows, then ${none}, then ${after}`);
  }
  return faults;
}

// press does with an input what a reader does: by its label, if that is what
// is to be seen of it.
async function press(page, id) {
  const label = page.locator(`label[for="${id}"]`);
  if (await label.count()) await label.first().click();
  else await page.locator(`#${id}`).click();
}

async function picture(page, name) {
  const { width, high } = await page.evaluate(() => ({ width: innerWidth, high: document.documentElement.scrollHeight }));
  await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(high, 6000) } });
}
