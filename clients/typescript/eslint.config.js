import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const NODE_ONLY = ["Buffer", "process", "require", "global", "__dirname", "setImmediate"];
const BROWSER_ONLY = ["window", "document", "navigator", "localStorage", "indexedDB", "self"];

export default defineConfig(
  { ignores: ["dist/", "src/generated.ts"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "off",
      "@typescript-eslint/no-invalid-void-type": "off",
    },
  },
  {
    // The core runs in Node, browsers and React Native.
    files: ["src/*.ts", "src/outbox/*.ts"],
    rules: {
      "no-restricted-globals": ["error", ...NODE_ONLY, ...BROWSER_ONLY],
      "no-restricted-imports": ["error", { patterns: ["node:*", "mqtt", "../browser/*", "../node/*", "../mqtt/*"] }],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: ["describe", "it", "test"] }],
    },
  },
  {
    files: ["**/*.mjs", "*.js"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
      },
    },
  },
);
