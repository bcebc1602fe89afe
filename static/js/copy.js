// @ts-check
// A copy button beside every value that is meant to be pasted elsewhere. Without it a click selects the whole value (CSS).

for (const code of document.querySelectorAll("code[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent ?? "");
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  if (navigator.clipboard) (code.closest("pre") ?? code).after(" ", button);
}
