// Makes the start page quick: filters while one types, moves the focus by keys, takes in what changes in the cluster.
// The page is whole without it.
'use strict';
(() => {
  const find = (id) => document.getElementById(id);
  const [list, search, summary, notices, lost] = ['list', 'search', 'summary', 'notices', 'lost'].map(find);
  // What the server says of all there is; a page that came filtered learns it from the stream.
  let counted = null;
  let stream = null;
  let patience = 0;
  let said = null;

  // A status that is written again is read out again.
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const filter = () => {
    if (counted === null) return;
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const section of list.children) {
      const rows = section.querySelectorAll('[data-words]');
      let some = rows.length === 0;
      for (const row of rows) {
        row.hidden = !wanted.every((word) => row.dataset.words.includes(word));
        if (!row.hidden) some = true;
        shown += row.hidden ? 0 : 1;
      }
      section.hidden = !some;
    }
    say(summary, counted && wanted.length ? `${shown} of ${counted}` : counted);
  };

  const markup = (html) => {
    const holder = document.createElement('template');
    holder.innerHTML = html;
    return holder;
  };

  // What is there already stays: it may have been unfolded, before the script ran too, and it was read out.
  const notice = (html) => {
    if (html === said) return;
    said = html;
    const fresh = markup(html);
    const folded = notices.cloneNode(true);
    for (const details of folded.querySelectorAll('details')) details.open = false;
    if (fresh.innerHTML !== folded.innerHTML) notices.replaceChildren(fresh.content);
  };

  const takeIn = (news) => {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    for (const [id, html] of Object.entries(news.changed)) {
      const old = find(id);
      const fresh = markup(html).content.firstElementChild;
      if (old?.isEqualNode(fresh)) continue;
      if (old) old.replaceWith(fresh);
      else list.append(fresh);
    }
    const order = new Set(news.order);
    for (const section of [...list.children]) if (!order.has(section.id)) section.remove();
    news.order.forEach((id, place) => {
      if (list.children[place].id !== id) list.insertBefore(find(id), list.children[place]);
    });
    notice(news.notices);
    counted = news.summary;
    filter();
    // The link that had the focus may be another element now.
    if (focused && document.activeElement !== focused) {
      links().find((link) => link.href === focused.href)?.focus({ preventScroll: true });
    }
  };

  const listen = () => {
    if (stream || document.hidden) return;
    stream = new EventSource('/.throughway/live');
    stream.onmessage = (event) => takeIn(JSON.parse(event.data));
    stream.onopen = () => {
      clearTimeout(patience);
      patience = 0;
      lost.hidden = true;
    };
    stream.onerror = () => {
      if (!patience) patience = setTimeout(() => { lost.hidden = false; }, 4000);
      // A browser tries again by itself unless the answer was no stream.
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        setTimeout(listen, 3000);
      }
    };
  };

  // A page that nobody sees holds no connection.
  const rest = () => {
    if (stream) stream.close();
    stream = null;
  };

  const links = () => [...list.querySelectorAll('a[href]')].filter((link) => link.offsetParent);

  const step = (by) => {
    const all = links();
    const next = all.indexOf(document.activeElement) + by;
    (next < 0 ? search : all[Math.min(next, all.length - 1)])?.focus();
  };

  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
    const inSearch = event.target === search;
    const inList = list.contains(event.target);
    if (event.key === '/' && !inSearch) search.select();
    else if (inSearch && (event.key === 'ArrowDown' || event.key === 'Enter')) links()[0]?.focus();
    else if (inList && event.key === 'ArrowDown') step(1);
    else if (inList && event.key === 'ArrowUp') step(-1);
    else return;
    event.preventDefault();
  });

  search.addEventListener('input', () => {
    const query = search.value.trim();
    history.replaceState(null, '', query ? `?search=${encodeURIComponent(query)}` : location.pathname);
    filter();
  });
  document.addEventListener('visibilitychange', () => (document.hidden ? rest() : listen()));
  addEventListener('pagehide', rest);
  addEventListener('pageshow', listen);
  document.documentElement.classList.add('scripted');
  listen();
})();
