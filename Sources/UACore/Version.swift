/// The version of Apus, as `--version` and the User-Agent header say it.
package let apusVersion = "0.1.0"
