// What notebooks put into a page without names or without a way for the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const slider of document.querySelectorAll(".anim-slider")) {
    slider.setAttribute("aria-label", "frame of the animation");
  }
  for (const table of document.querySelectorAll(".cell_output table")) {
    table.tabIndex = 0; // a wide one scrolls
  }
});
