"use strict";
// allauth's scripts tell the console alone that no key was read; people read it in the page.
document.addEventListener("allauth.error", (event) => {
  const complaint = document.querySelector("[data-key-complaint]");
  event.preventDefault();
  complaint.setAttribute("role", "alert"); // not before there is something to say
  complaint.hidden = false;
});
