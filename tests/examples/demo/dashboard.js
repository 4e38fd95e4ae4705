"use strict";
const element = (id) => document.getElementById(id);

async function showData() {
  const counts = await (await fetch("/api/requests")).json();
  element("data").replaceChildren(
    ...Object.entries(counts).map(([path, count]) => {
      const row = document.createElement("tr");
      row.insertCell().textContent = path;
      row.insertCell().textContent = count;
      return row;
    }),
  );
}

async function showUser() {
  const { user } = await (await fetch("/api/user")).json();
  element("user").textContent = user;
  element("login").hidden = user !== null;
  element("logout").hidden = user === null;
}

element("reload").addEventListener("click", showData);
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ticks");
socket.addEventListener("message", (event) => {
  element("ticks").textContent = event.data;
});
showData();
showUser();
