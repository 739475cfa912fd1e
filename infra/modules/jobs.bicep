// Containers for steps: a registry, an environment, and for each compute a job that its queue starts.
param location string
param tags object
param token string
param private bool
param subnetId string
param image string
param computes array
param workspaceName string
param storageName string
param vaultUri string
param environmentName string
param datastores string
param serviceUrl string
param functionsKeyRole string
param insightsConnection string
param appPrincipal string
param workerIdentityId string
param workerPrincipal string
param workerClientId string
param principalId string
param principalType string

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var acrPush = '8311e382-0749-4cb8-b61a-304f252e45ec'
var jobsOperator = 'b9a307c4-5aa3-4b52-ba60-2b17c136cd7b'
var placeholder = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: 'cr${token}'
  location: location
  tags: tags
  sku: {
    name: private ? 'Premium' : 'Basic'
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
  }
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, workerPrincipal, acrPull)
  scope: registry
  properties: {
    principalId: workerPrincipal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource push 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(registry.id, principalId, acrPush)
  scope: registry
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPush)
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'cae-${token}'
  location: location
  tags: tags
  properties: {
    // Through diagnostic settings, not by the key of the workspace.
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    vnetConfiguration: private ? {
      infrastructureSubnetId: subnetId
      internal: true
    } : null
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: environment
  properties: {
    workspaceId: logs.id
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

resource job 'Microsoft.App/jobs@2025-07-01' = [for compute in computes: {
  name: 'job-${compute.name}'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${workerIdentityId}': {}
    }
  }
  dependsOn: [
    pull
  ]
  properties: {
    environmentId: environment.id
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Event'
      replicaTimeout: compute.timeoutSeconds
      // Trying again is the engine's: a second replica would find the step claimed.
      replicaRetryLimit: 0
      eventTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
        scale: {
          minExecutions: 0
          maxExecutions: compute.maxExecutions
          pollingInterval: 30
          rules: [
            {
              name: 'queue'
              type: 'azure-queue'
              identity: workerIdentityId
              metadata: {
                accountName: storageName
                queueName: 'millstream-steps-on-${compute.name}'
                queueLength: '1'
              }
            }
            {
              name: 'urgent'
              type: 'azure-queue'
              identity: workerIdentityId
              metadata: {
                accountName: storageName
                queueName: 'millstream-steps-urgent-on-${compute.name}'
                queueLength: '1'
              }
            }
          ]
        }
      }
      // What signs the tokens of steps, and opens the secrets of datastores: the worker has them, its scripts have not.
      secrets: [
        {
          name: 'run-token-key'
          keyVaultUrl: '${vaultUri}secrets/run-token-key'
          identity: workerIdentityId
        }
        {
          name: 'secret-key'
          keyVaultUrl: '${vaultUri}secrets/secret-key'
          identity: workerIdentityId
        }
      ]
      registries: [
        {
          server: registry.properties.loginServer
          identity: workerIdentityId
        }
      ]
      identitySettings: [
        {
          identity: workerIdentityId
          lifecycle: 'All'
        }
      ]
    }
    template: {
      containers: [
        {
          name: 'worker'
          image: empty(image) ? placeholder : image
          args: [
            '--queue'
            'millstream-steps-urgent-on-${compute.name}'
            '--queue'
            'millstream-steps-on-${compute.name}'
            '--once'
            '--timeout'
            string(compute.timeoutSeconds)
          ]
          resources: {
            cpu: json(compute.cpu)
            memory: compute.memory
          }
          env: [
            {
              name: 'AzureWebJobsStorage__accountName'
              value: storageName
            }
            {
              name: 'AzureWebJobsStorage__credential'
              value: 'managedidentity'
            }
            {
              name: 'AzureWebJobsStorage__clientId'
              value: workerClientId
            }
            {
              name: 'MILLSTREAM_EXECUTION_CPU'
              value: compute.cpu
            }
            {
              name: 'MILLSTREAM_EXECUTION_MEMORY_GIB'
              value: replace(compute.memory, 'Gi', '')
            }
            {
              name: 'MILLSTREAM_PUBLIC_URL'
              value: serviceUrl
            }
            {
              name: 'MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS'
              value: functionsKeyRole
            }
            {
              name: 'MILLSTREAM_LOG_FORM'
              value: 'json'
            }
            {
              name: 'MILLSTREAM_WORKSPACE'
              value: environmentName
            }
            {
              name: 'MILLSTREAM_SUBSCRIPTION_ID'
              value: subscription().subscriptionId
            }
            {
              name: 'MILLSTREAM_RESOURCE_GROUP'
              value: resourceGroup().name
            }
            {
              name: 'MILLSTREAM_DATASTORES'
              value: datastores
            }
            {
              name: 'MILLSTREAM_RUN_TOKEN_KEY'
              secretRef: 'run-token-key'
            }
            {
              name: 'MILLSTREAM_VAULT'
              value: vaultUri
            }
            {
              name: 'MILLSTREAM_SECRET_KEYS'
              secretRef: 'secret-key'
            }
            {
              name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
              value: insightsConnection
            }
          ]
        }
      ]
    }
  }
}]

// The app may start and stop executions of these jobs, and nothing else of them.
resource operator 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (compute, i) in computes: {
  name: guid(job[i].id, appPrincipal, jobsOperator)
  scope: job[i]
  properties: {
    principalId: appPrincipal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', jobsOperator)
  }
}]

output registryEndpoint string = registry.properties.loginServer
