/* Puts the related stories of an article in place of a list that is on the page already:
   <script src="https://server.example/widget.js" data-article="ID" data-target="#related" defer></script>
   data-k: length at most (default: that of the list on the page, or 5); data-heading; data-timeout in ms (3000).
   CSS variables: --related-color, --related-muted, --related-gap, --related-size, --related-space.
   Colours are those of the page, so a dark page has a dark list. Where no answer comes in time, nothing changes. */
(function () {
  "use strict";
  var script = document.currentScript;
  if (!script || !window.fetch || !window.AbortController || !window.URL) return;
  var data = script.dataset, target;
  try { target = document.querySelector(data.target || "#related"); } catch (error) { return; }
  if (!target || !data.article) return;

  var empty = !target.textContent.trim();
  if (empty) target.style.minHeight = "var(--related-space, 14rem)";
  var own = target.querySelectorAll("li").length;
  var k = Math.min(50, Math.max(1, parseInt(data.k, 10) || own || 5));
  var abort = new AbortController();
  var timer = setTimeout(function () { abort.abort(); }, parseInt(data.timeout, 10) || 3000);

  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function address(url) {
    try {
      var parsed = new URL(url);
      return parsed.protocol === "https:" || parsed.protocol === "http:" ? parsed.href : null;
    } catch (error) { return null; }
  }

  function row(item) {
    var href = item && typeof item.title === "string" && item.title.trim() && address(item.url);
    if (!href) return null;
    var made = element("li"), link = element("a", "", item.title);
    link.href = href;
    link.dir = "auto";
    made.appendChild(link);
    var date = item.published ? new Date(item.published) : null;
    if (date && !isNaN(date)) {
      var language = document.documentElement.lang || undefined, time, shown;
      var form = { day: "numeric", month: "short", year: "numeric" };
      try { shown = date.toLocaleDateString(language, form); } catch (error) { shown = date.toLocaleDateString(); }
      time = element("time", "", shown);
      time.dateTime = item.published;
      made.appendChild(time);
    }
    return made;
  }

  function style() {
    if (document.getElementById("related-stories-style")) return;
    var made = element("style", "",
      ".related-stories ul{list-style:none;margin:0;padding:0;font-size:var(--related-size,1em)}" +
      ".related-stories li{margin:0 0 var(--related-gap,.75em)}" +
      ".related-stories a{color:var(--related-color,inherit)}" +
      ".related-stories a:focus-visible{outline:2px solid;outline-offset:2px}" +
      ".related-stories time{display:block;font-size:.875em;color:var(--related-muted,inherit)}");
    made.id = "related-stories-style";
    document.head.appendChild(made);
  }

  function seen(box) { return box.bottom > 0 && box.top < window.innerHeight; }

  function release() { /* the room that was kept is given back where nobody sees it */
    if (empty && !seen(target.getBoundingClientRect())) target.style.minHeight = "";
  }

  function show(found) {
    var rows = (found && Array.isArray(found.items) ? found.items : []).map(row).filter(Boolean).slice(0, k);
    if (!rows.length) return release();
    if (target.contains(document.activeElement)) return; /* somebody is in the list on the page */
    var before = target.getBoundingClientRect();
    var nav = element("nav", "related-stories"), list = element("ul");
    var heading = data.heading || "";
    nav.setAttribute("aria-label", heading || "Related stories");
    if (heading) nav.appendChild(element("h2", "", heading));
    rows.forEach(function (one) { list.appendChild(one); });
    nav.appendChild(list);
    style();
    target.style.minHeight = before.height + "px";
    target.replaceChildren(nav);
    if (seen(before)) { /* nothing below may move: what does not fit is left out */
      while (list.children.length > 1 && target.getBoundingClientRect().height > before.height + 1) list.lastChild.remove();
    } else target.style.minHeight = "";
    target.dispatchEvent(new CustomEvent("related:shown", { bubbles: true }));
  }

  var base = script.src.replace(/widget\.js(?:[?#].*)?$/, "");
  fetch(base + "related?format=json&k=" + k + "&id=" + encodeURIComponent(data.article),
    { signal: abort.signal, credentials: "omit", referrerPolicy: "no-referrer" })
    .then(function (response) { return response.ok ? response.json() : null; })
    .then(function (found) { clearTimeout(timer); show(found); })
    .catch(release);
})();
