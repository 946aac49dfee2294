// Builds the page into `dist/`, which the binary embeds: relative paths, no source maps, one chunk a page.
import vue from '@vitejs/plugin-vue'
import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig } from 'vite'

declare const process: { env: Record<string, string | undefined> }

export default defineConfig({
  base: './',
  plugins: [
    vue(),
    Components({
      dirs: [],
      dts: false,
      resolvers: [ElementPlusResolver({ importStyle: 'css' })],
    }),
  ],
  build: {
    target: 'es2022',
    sourcemap: false,
    // Data addresses would need a wider Content-Security-Policy than the appliance sends.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
  },
  // The appliance compares the page's origin with the host that was asked.
  server: { proxy: { '/api': { target: process.env.TIDEGATE_ADMIN ?? 'http://127.0.0.1:8081', changeOrigin: false } } },
})
