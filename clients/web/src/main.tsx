import "./styles/base.css";
import "./styles/forms.css";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { session } from "./api/session";
import { installWorker } from "./offline";
import { settings } from "./settings";
import { speak } from "./words/words";

function colours(): void {
  document.documentElement.dataset["theme"] = settings.get().theme;
}

colours();
settings.subscribe(colours);
session.follow();
void session.begin();
void installWorker();
void speak(settings.get().language).then(() => {
  createRoot(document.getElementById("app") as HTMLElement).render(<App />);
});
