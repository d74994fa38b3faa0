/* SPDX-License-Identifier: Apache-2.0 */
void
name(char *to, const char *from)
{
    strcpy(to, from);
}
