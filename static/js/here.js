// On a narrow screen the navigation is pushed aside: begin where one is.
for (const here of document.querySelectorAll(".tasks [aria-current], .places [aria-current]")) {
  here.scrollIntoView({ block: "nearest", inline: "center" });
}
