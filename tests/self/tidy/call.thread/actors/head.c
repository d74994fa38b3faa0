/* SPDX-License-Identifier: Apache-2.0 */
void
start(void)
{
    pthread_create(0, 0, 0, 0);
}
