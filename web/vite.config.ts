/// <reference types="vitest/config" />
// How the page is built: hashed files under /assets, each also compressed as .br and .gz, into api/page/ beside the API.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const api = process.env.CALLSTREAM_API ?? "http://127.0.0.1:8400";
const out = process.env.CALLSTREAM_PAGE_OUT ?? fileURLToPath(new URL("../api/page", import.meta.url));

function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      const folder = `${out}/assets`;
      for (const name of readdirSync(folder)) {
        const path = `${folder}/${name}`;
        if (!/\.(js|css|svg|json)$/.test(name) || statSync(path).size < 1024) continue;
        const bytes = readFileSync(path);
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: quality }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), compressed()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: out,
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: {
    port: Number(process.env.CALLSTREAM_WEB_PORT ?? 5173),
    strictPort: true,
    proxy: Object.fromEntries(
      ["/api/", "/admin/imports", "/graphql", "/sign-in", "/health", "/docs", "/openapi.json", "/static"].map((path) => [
        path,
        { target: api, ws: path === "/graphql" },
      ]),
    ),
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
