#!/usr/bin/env node
// A file of its own, because npm links commands before the build has made the compiled one.
import '../dist/cli/main.js'
