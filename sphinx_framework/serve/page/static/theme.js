// Not a module: it runs before the first paint, so that a chosen theme does not flash.
(() => {
  const choices = ["light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("sphinx-nvs-theme"); } catch { return null; }
  };
  const apply = (theme) => {
    if (choices.includes(theme)) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply(stored());
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = document.documentElement.dataset.theme || "";
    select.addEventListener("change", () => {
      apply(select.value);
      try { localStorage.setItem("sphinx-nvs-theme", select.value); } catch { /* not kept then */ }
      dispatchEvent(new Event("themechange"));
    });
  });
})();
