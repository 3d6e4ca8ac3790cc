// What all walks share: one service with the users demo and carol and the admin root, and one browser.
import { after, before } from "node:test";
import { Service } from "./service.mjs";
import { launch, missingBrowser } from "./visitor.mjs";

export const skip = missingBrowser();
export const stage = { service: undefined, browser: undefined };

before(async () => {
  if (skip) return;
  stage.service = await Service.start();
  stage.browser = await launch(stage.service);
  await stage.service.cli("user", "add", "carol", "--consent", "all");
  await stage.service.cli("admin", "add", "root");
});

after(async () => {
  await stage.browser?.close();
  await stage.service?.stop();
});
