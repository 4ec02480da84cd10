// Sets the theme before the first paint, so that the page never flashes. theme.ts changes it later.
(function () {
  var wanted = null;
  try {
    wanted = localStorage.getItem("callstream.theme");
  } catch {
    // Storage may be forbidden; the system's theme is used then.
  }
  document.documentElement.dataset.theme =
    wanted === "light" || wanted === "dark" ? wanted : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
})();
