/* SPDX-License-Identifier: Apache-2.0 */
void *
lease(void)
{
    return malloc(8);
}
