/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_verb.h - `sluice plugin`: what a plugin file says of itself, and what it makes of one
 * input, without a server. For authors; and the process in which a server has an installed plugin
 * describe itself, because a plugin's code never runs in the process that holds the store.
 */
#ifndef SL_GATEWAY_PLUGIN_VERB_H
#define SL_GATEWAY_PLUGIN_VERB_H

#define SL_PLUGIN_VERB "plugin"

/*
 * argv[0] is the verb: plugin describe FILE | plugin run FILE [--input NAME=TEXT]... [--params
 * JSON] [--model DIRECTORY]. The exit code: 0 done, 1 the plugin is at fault (told on standard
 * error), 2 bad arguments.
 */
int sl_plugin_main(int argc, char **argv);

#endif
