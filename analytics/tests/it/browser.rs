//! The page in a real browser: its console stays empty, nothing leaves it, it fits phones and desks, its colours can be read.

mod devtools;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use session_analytics::report_html;

use crate::history::{HOSTILE, Told, history};
use devtools::Browser;

/// Widths of a small phone, a phone and a desk, in CSS pixels.
const WIDTHS: [(u32, u32); 3] = [(320, 640), (390, 844), (1280, 900)];

/// What is wrong with a page, found out in it: too wide for its window, text that is hard to read, or names that became markup.
const FAULTS: &str = r#"(() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px too wide`);
  const luminance = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const rgba = text => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const behind = element => {
    let layers = [];
    for (let it = element; it; it = it.parentElement) layers.push(rgba(getComputedStyle(it).backgroundColor));
    return layers.reverse().reduce((under, over) => under.map((c, i) => i == 3 ? 1 : over[i] * over[3] + c * (1 - over[3])), [255, 255, 255, 1]);
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = texts.nextNode();) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || !element.getClientRects().length || element.closest('svg, .sr, .skip')) continue;
    const [a, b] = [luminance(rgba(style.color)), luminance(behind(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const contrast = (a + .05) / (b + .05), what = `${style.color} on ${element.tagName}.${element.className}`;
    if (contrast < (large ? 3 : 4.5) && !seen.has(what)) { seen.add(what); faults.push(`contrast ${contrast.toFixed(2)}: ${what}`); }
    if (size < 11) faults.push(`${size} px: ${node.data}`);
  }
  for (const name of ['s0','s1','s2','s3','s4','s5','s6','s7','bad']) {
    const probe = document.createElement('i'); probe.style.color = `var(--${name})`; document.querySelector('section').append(probe);
    const [a, b] = [luminance(rgba(getComputedStyle(probe).color)), luminance(behind(probe))].sort((x, y) => y - x);
    probe.remove();
    if ((a + .05) / (b + .05) < 3) faults.push(`${name} is too near to its ground`);
  }
  if (document.title !== 'Claude Code usage') faults.push(`titled ${document.title}`);
  if (document.querySelector('script, img, iframe, [onload], [onerror], [onmouseover]')) faults.push('a name became markup');
  const unnamed = document.querySelectorAll('[role=img]:not([aria-label]), [role=region]:not([aria-labelledby]), [role=meter]:not([aria-label])');
  if (unnamed.length) faults.push(`${unnamed.length} parts without a name`);
  return JSON.stringify(faults);
})()"#;

#[test]
fn the_page_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, days, replies) in [("month", 34, 160), ("year", 365, 200), ("empty", 0, 0)] {
        let file = folder.path().join(format!("{name}.html"));
        fs::write(&file, report_html(&Told::of(&history(days, replies, &HOSTILE)).page())).unwrap();
        for scheme in ["light", "dark"] {
            for (width, height) in WIDTHS {
                let faults = browser.visit(&file, (width, height), scheme, FAULTS);
                let faults: Vec<String> = serde_json::from_str(faults.as_str().unwrap()).unwrap();
                assert_eq!(faults, [""; 0], "{name}, {scheme}, {width} px");
                keep_picture(&mut browser, &format!("{name}-{scheme}-{width}"));
            }
        }
        let pdf = browser.ask("Page.printToPDF", json!({"printBackground": true}));
        assert!(devtools::base64(pdf["data"].as_str().unwrap()).starts_with(b"%PDF"));
    }
    let leaks: Vec<&String> = browser
        .requests
        .iter()
        .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    assert!(!browser.requests.is_empty(), "requests are seen at all");
    assert_eq!(browser.complaints, [""; 0]);
}

/// A page with faults is found out: this test of the test keeps the other honest.
#[test]
fn faults_are_seen() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.html");
    let page = "<title>Claude Code usage</title><section style='width:2000px;color:#bbb;background:#fff'>pale<script>console.log('hello')</script>\
                <img src='http://127.0.0.1:9/x.png'></section>";
    fs::write(&file, page).unwrap();
    let faults = browser.visit(&file, (390, 844), "light", FAULTS);
    let faults = faults.as_str().unwrap();
    for part in ["too wide", "contrast 1.9", "a name became markup"] {
        assert!(faults.contains(part), "{part} is not in {faults}");
    }
    assert!(
        browser.requests.iter().any(|url| url.starts_with("http://127.0.0.1:9")),
        "{:?}",
        browser.requests
    );
    assert!(browser.complaints.iter().any(|text| text.contains("hello")), "{:?}", browser.complaints);
}

/// Keeps a picture of what is shown, for people to look at, where `CLAUDEWATCH_PICTURES` names a folder.
fn keep_picture(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os("CLAUDEWATCH_PICTURES") else { return };
    let picture = browser.ask("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
    let bytes = devtools::base64(picture["data"].as_str().unwrap_or_default());
    fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
}

/// The value that an expression came to.
fn value(answer: &Value) -> Value {
    assert!(answer.get("exceptionDetails").is_none(), "{answer}");
    answer["result"]["value"].clone()
}
